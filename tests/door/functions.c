// SPDX-License-Identifier: MIT
/* Devices as programs find and hold them: sysfs, nodes, descriptors that travel. */
#include <ftw.h>
#include <limits.h>
#include <linux/kvm.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "devices.h"

static void read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	CHECK(fd >= 0);
	n = read(fd, text, room - 1);
	CHECK(n >= 0);
	text[n] = '\0';
	close(fd);
}

static bool has_entry(const char *directory, const char *name)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	bool found = false;

	CHECK(dir);
	while ((entry = readdir(dir)))
		found |= !strcmp(entry->d_name, name);
	closedir(dir);
	return found;
}

static bool is_free(void)
{
	int iommu, dev = bound_device(&iommu);

	close(dev);
	close(iommu);
	return true;
}

/* As QEMU does it: by the first name in vfio-dev, and its number. */
TEST(the_way_from_an_address_to_a_device)
{
	char path[PATH_MAX], text[64], name[64] = "";
	unsigned int major_number, minor_number;
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int fd;

	CHECK(!stat(SYSFS, &st) && S_ISDIR(st.st_mode));
	CHECK(realpath(SYSFS "/subsystem", path) && !strcmp(path, "/sys/bus/pci"));
	dir = opendir(SYSFS "/vfio-dev");
	CHECK(dir);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			strcpy(name, entry->d_name);
	closedir(dir);
	CHECK(name[0]);
	snprintf(path, sizeof(path), SYSFS "/vfio-dev/%s/dev", name);
	read_text(path, text, sizeof(text));
	CHECK(sscanf(text, "%u:%u", &major_number, &minor_number) == 2);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(!fstat(fd, &st) && S_ISCHR(st.st_mode));
	CHECK(st.st_rdev == makedev(major_number, minor_number));
	close(fd);
	snprintf(path, sizeof(path), "/dev/char/%u:%u", major_number, minor_number);
	CHECK(!stat(path, &st) && S_ISCHR(st.st_mode));
	CHECK(st.st_rdev == makedev(major_number, minor_number));
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
}

/* As libvfn and SPDK do it: by the group. */
TEST(the_way_from_an_address_to_a_group)
{
	char path[PATH_MAX], link[PATH_MAX] = "", text[64];
	unsigned int vendor;
	struct stat st;
	FILE *f;
	int fd;

	CHECK(readlink(SYSFS "/iommu_group", link, sizeof(link) - 1) > 0);
	CHECK(strrchr(link, '/'));
	snprintf(path, sizeof(path), "/dev/vfio%s", strrchr(link, '/'));
	CHECK(!access(path, R_OK | W_OK));
	CHECK(!stat(path, &st) && S_ISCHR(st.st_mode) && major(st.st_rdev) == 511);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK(!stat("/dev/vfio/vfio", &st) && st.st_rdev == makedev(10, 196));
	CHECK(open("/dev/vfio/vfio", O_RDWR) >= 0);
	f = fopen(SYSFS "/vendor", "r");
	CHECK(f && fscanf(f, "%x", &vendor) == 1 && vendor == 0x1234);
	fclose(f);
	CHECK(readlink(SYSFS "/driver", link, sizeof(link)) > 0 && strstr(link, "/vfio-pci"));
	read_text(SYSFS "/numa_node", text, sizeof(text));
	CHECK(atoi(text) == -1);
	CHECK(has_entry("/sys/class/vfio-dev", "vfio0"));
	CHECK(has_entry("/sys/bus/pci/devices", ADDRESS));
	CHECK(has_entry("/sys/bus/pci/drivers/vfio-pci", ADDRESS));
}

TEST(configuration_space_by_all_means)
{
	uint16_t ids[2] = { 0 };
	struct stat st;
	FILE *f;
	int fd;

	CHECK(!stat(SYSFS "/config", &st) && S_ISREG(st.st_mode) && st.st_size == 4096);
	CHECK(!(st.st_mode & S_ISVTX));
	fd = open(SYSFS "/config", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, ids, 4, 0) == 4 && ids[0] == 0x1234 && ids[1] == 0x50f7);
	CHECK(read(fd, ids, 2) == 2 && read(fd, ids + 1, 2) == 2 && ids[1] == 0x50f7);
	CHECK_ERRNO(EBADF, pwrite(fd, ids, 2, 4));
	f = fopen(SYSFS "/config", "rb");
	CHECK(f && fread(ids, 2, 2, f) == 2 && ids[0] == 0x1234);
	CHECK(!fseek(f, 2, SEEK_SET) && fread(ids, 2, 1, f) == 1 && ids[0] == 0x50f7);
	fclose(f);
	f = freopen(SYSFS "/config", "rb", stdin);
	CHECK(f && fread(ids, 2, 2, f) == 2 && ids[1] == 0x50f7);
}

TEST(relative_paths_and_directories_that_are_open)
{
	char here[PATH_MAX];
	struct stat st;
	int dir, fd;
	uint16_t id;

	dir = open(SYSFS, O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0);
	fd = openat(dir, "config", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, &id, 2, 2) == 2 && id == 0x50f7);
	CHECK(!fstatat(dir, "reset", &st, 0) && (st.st_mode & 07777) == 0200);
	CHECK(!chdir(SYSFS) && getcwd(here, sizeof(here)));
	CHECK(!strcmp(here, "/sys/devices/pci0000:00/" ADDRESS));
	fd = open("../../../bus/pci/devices/" ADDRESS "/config", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, &id, 2, 2) == 2 && id == 0x50f7);
	CHECK(open("/sys//bus/./pci/devices/" ADDRESS "//vendor", O_RDONLY) >= 0);
	CHECK(syscall(SYS_openat, AT_FDCWD, SYSFS "/vendor", O_RDONLY) >= 0);
	CHECK(syscall(SYS_faccessat, AT_FDCWD, "/dev/vfio/devices/vfio0", R_OK | W_OK) == 0);
}

TEST(what_cannot_be_done)
{
	char path[PATH_MAX + 64];

	CHECK_ERRNO(EACCES, open(SYSFS "/vendor", O_WRONLY));
	CHECK_ERRNO(EACCES, open(SYSFS "/vendor", O_RDONLY | O_TRUNC));
	CHECK_ERRNO(EACCES, open(SYSFS "/none", O_WRONLY | O_CREAT, 0666));
	CHECK_ERRNO(ENOENT, open(SYSFS "/none", O_RDONLY));
	CHECK_ERRNO(EISDIR, open(SYSFS, O_RDWR));
	CHECK_ERRNO(ENOENT, open("/dev/vfio/7", O_RDWR));
	CHECK_ERRNO(ENOENT, open("/dev/vfio/devices/vfio99", O_RDWR));
	CHECK_ERRNO(EACCES, open(SYSFS "/reset", O_RDONLY));
	CHECK_ERRNO(EFAULT, open((char *)1, O_RDONLY));
	CHECK_ERRNO(ENOTDIR, open(SYSFS "/vendor/x", O_RDONLY));
	memset(path, 'x', sizeof(path));
	memcpy(path, "/sys/bus/pci/", 13);
	path[sizeof(path) - 1] = '\0';
	CHECK_ERRNO(ENAMETOOLONG, open(path, O_RDONLY));
	path[700] = '\0';
	CHECK(open(path, O_RDONLY) < 0);
}

/* Paths are looked at behind the kernel's back only when it could read them. */
TEST(a_path_that_is_none)
{
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[8];
	struct stat st;

	CHECK_ERRNO(EFAULT, open(none, O_RDONLY));
	CHECK_ERRNO(EFAULT, stat(none, &st));
	CHECK_ERRNO(EFAULT, access(none, F_OK));
	CHECK_ERRNO(EFAULT, readlink(none, buf, sizeof(buf)));
}

TEST(without_its_driver_a_function_has_no_node)
{
	struct stat st;
	int dev;

	write_text(DRIVER "/unbind", ADDRESS "\n");
	CHECK_ERRNO(ENOENT, open("/dev/vfio/devices/vfio0", O_RDWR));
	CHECK_ERRNO(ENOENT, open("/dev/vfio/0", O_RDWR));
	CHECK_ERRNO(ENOENT, lstat(SYSFS "/driver", &st));
	CHECK_ERRNO(ENOENT, stat(SYSFS "/vfio-dev", &st));
	CHECK(try_text(DRIVER "/unbind", ADDRESS) == ENODEV);
	write_text(SYSFS "/driver_override", "other\n");
	CHECK(try_text(DRIVER "/bind", ADDRESS) == ENODEV);
	write_text(SYSFS "/driver_override", "\n");
	write_text(DRIVER "/bind", ADDRESS);
	CHECK(try_text(DRIVER "/bind", ADDRESS) == EBUSY);
	CHECK(try_text(DRIVER "/bind", "0000:ff:1f.7") == ENODEV);
	CHECK(!lstat(SYSFS "/driver", &st) && S_ISLNK(st.st_mode));
	dev = open_device();
	CHECK(try_text(DRIVER "/unbind", ADDRESS) == EBUSY);
	close(dev);
}

/* What the kernel's scripts for its VFIO tests do, by a shell. */
TEST(a_shell_binds_and_unbinds)
{
	static const char script[] =
		"set -e; d=/sys/bus/pci/devices/" ADDRESS "; r=/sys/bus/pci/drivers/vfio-pci\n"
		"test -d $d; test -f $d/sriov_numvfs; test -L $d/driver\n"
		"[ $(basename $(readlink -m $d/driver)) = vfio-pci ]\n"
		"echo " ADDRESS " > $r/unbind; ! test -e $d/driver\n"
		"echo vfio-pci > $d/driver_override; [ $(cat $d/driver_override) = vfio-pci ]\n"
		"echo " ADDRESS " > $r/bind; test -c /dev/vfio/devices/vfio0\n"
		"echo > $d/driver_override; [ $(cat $d/driver_override) = '(null)' ]\n"
		"! echo nonsense > $r/bind 2>/dev/null\n"
		"! /bin/echo nonsense > $r/bind 2>/dev/null\n"
		"cd $d; [ $(cat vendor) = 0x1234 ]; [ $(/bin/pwd) = "
		"/sys/devices/pci0000:00/" ADDRESS " ]\n"
		"! echo x 2>/dev/null > vendor\n"
		"echo 1 > reset\n"
		"ls -la /dev/vfio /sys/bus/pci/devices/ > /dev/null\n";
	pid_t pid = fork();

	if (!pid) {
		execlp("bash", "bash", "-c", script, NULL);
		_exit(127);
	}
	CHECK(!wait_for(pid));
}

TEST(virtual_functions_come_and_go)
{
	char text[64], link[PATH_MAX];
	struct stat st;
	ssize_t n;
	int vf;

	read_text(SYSFS "/sriov_totalvfs", text, sizeof(text));
	if (atoi(text) < 2)
		SKIP("the device has no virtual functions");
	CHECK(try_text(SYSFS "/sriov_numvfs", "65535") == ERANGE);
	CHECK(try_text(SYSFS "/sriov_numvfs", "x") == EINVAL);
	write_text(SYSFS "/sriov_numvfs", "2\n");
	read_text(SYSFS "/sriov_numvfs", text, sizeof(text));
	CHECK(atoi(text) == 2);
	CHECK(try_text(SYSFS "/sriov_numvfs", "1") == EBUSY);
	n = readlink(SYSFS "/virtfn1", link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	CHECK(!stat(SYSFS "/virtfn1/physfn/vendor", &st));
	CHECK(!stat(SYSFS "/virtfn0/vfio-dev", &st));
	vf = open("/dev/vfio/devices/vfio1", O_RDWR);
	CHECK(vf >= 0);
	CHECK(try_text(SYSFS "/sriov_numvfs", "0") == EBUSY);
	close(vf);
	write_text(SYSFS "/sriov_numvfs", "0");
	CHECK_ERRNO(ENOENT, stat(SYSFS "/virtfn0", &st));
	CHECK_ERRNO(ENOENT, stat("/dev/vfio/devices/vfio1", &st));
}

static void send_fd(int sock, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &msg, 0) == 1);
}

static int receive_fd(int sock)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char x;
	struct iovec iov = { &x, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int fd;

	CHECK(recvmsg(sock, &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

TEST(a_device_travels_over_a_socket)
{
	int sv[2], iommu, dev;
	struct stat st;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	pid = fork();
	if (!pid) {
		send_fd(sv[1], bound_device(&iommu));
		_exit(0);
	}
	dev = receive_fd(sv[0]);
	CHECK(!wait_for(pid));
	CHECK(!fstat(dev, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(510, 0));
	CHECK((uint32_t)peek(dev, EDU_ID) == EDU_ID_VALUE);
	*(volatile uint32_t *)(map_registers(dev) + EDU_SCRATCH) = 4;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 4);
}

TEST(a_device_survives_exec)
{
	char number[16];
	int iommu, dev = bound_device(&iommu), status;
	pid_t pid;

	CHECK(!fcntl(dev, F_SETFD, 0));
	snprintf(number, sizeof(number), "%d", dev);
	setenv("DOOR_DEVICE_FD", number, 1);
	pid = fork();
	if (!pid) {
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO); /* it reports its tests too */
		execl("/proc/self/exe", "functions", "inherited", NULL);
		_exit(127);
	}
	status = wait_for(pid);
	CHECK(!status);
}

TEST(inherited)
{
	const char *number = getenv("DOOR_DEVICE_FD");

	if (!number)
		return; /* only as the child of the test above */
	CHECK((uint32_t)peek(atoi(number), EDU_ID) == EDU_ID_VALUE);
}

/* A device that is bound is nobody else's, until its last descriptor is closed. */
TEST(two_processes_and_one_device)
{
	int iommu, dev = bound_device(&iommu), p[2];
	pid_t pid;
	char x;

	CHECK(!pipe(p));
	pid = fork();
	if (!pid) {
		int other = open_device(), own = open_iommu();

		CHECK(bind_device(other, own) == -1);
		CHECK(write(p[1], "x", 1) == 1);
		close(dev);
		close(other);
		pause();
	}
	CHECK(read(p[0], &x, 1) == 1);
	close(dev);
	CHECK(is_free());
	kill(pid, SIGKILL);
	CHECK(wait_for(pid) == 256 + SIGKILL);
}

TEST(a_killed_client_leaves_nothing)
{
	struct counts before;
	int p[2], iommu;
	pid_t pid;
	char x;

	CHECK(is_free());
	before = count();
	CHECK(!pipe(p));
	pid = fork();
	if (!pid) {
		volatile uint8_t *regs = map_registers(bound_device(&iommu));

		*(volatile uint32_t *)(regs + EDU_SCRATCH) = 1;
		CHECK(write(p[1], "x", 1) == 1);
		for (;;)
			*(volatile uint32_t *)(regs + EDU_SCRATCH) = 2;
	}
	CHECK(read(p[0], &x, 1) == 1);
	usleep(20000);
	kill(pid, SIGKILL);
	CHECK(wait_for(pid) == 256 + SIGKILL);
	CHECK(is_free());
	CHECK(is_back_to(&before));
}

/* Requests that only somebody who leaves the library out can make. */
static int is_nobody_elses(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	return !S_ISLNK(st->st_mode) && st->st_mode & (S_IWGRP | S_IWOTH);
}

/* What a file stands for is in its times, which anybody can set who may write to it. */
TEST(other_users_cannot_spoil_the_tree)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" DOOR_TREE_SUFFIX, getenv(DOOR_SOCKET_ENV));
	CHECK(!nftw(path, is_nobody_elses, 16, FTW_PHYS));
}

TEST(hostile_paths_at_the_servers_door)
{
	static const char *const paths[] = {
		"",
		"/",
		"/dev/vfio/",
		"/dev/vfio/../../etc/passwd",
		"/etc/passwd",
		"/dev/vfio/devices/vfio-1",
		"/dev/vfio/devices/vfio99999999999999999999",
		"/dev/vfio/00",
		"/sys/devices/pci0000:00/" ADDRESS "/../../../../etc/passwd",
		"/sys/devices/pci0000:00/" ADDRESS "/resource9",
		"/sys/bus/pci/drivers/vfio-pci/",
		"/sys/devices/pci/x/y/z",
		"/sys/devices/pci0000:00/" ADDRESS "/vendor",
	};
	struct door_call call = { .op = DOOR_OPEN, .c = O_RDWR };
	static uint64_t cookie[2] = { 12345, DOOR_COOKIE_MAGIC };
	struct door_call hello = {
		.op = DOOR_HELLO,
		.fd = (int32_t)syscall(SYS_gettid),
		.a = (uintptr_t)cookie,
		.b = cookie[0],
		.d = DOOR_VERSION,
	};
	static char big[8192];
	struct door_reply reply;
	int sock = connect_server();
	size_t i;

	CHECK(!call_raw(sock, &hello, &reply));
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		call.a = (uintptr_t)paths[i];
		call.b = strlen(paths[i]);
		CHECK(call_raw(sock, &call, &reply) < 0);
	}
	memset(big, 'a', sizeof(big));
	call.a = (uintptr_t)big;
	call.b = sizeof(big);
	CHECK(call_raw(sock, &call, &reply) == -ENAMETOOLONG);
	call.b = UINT64_MAX;
	CHECK(call_raw(sock, &call, &reply) == -ENAMETOOLONG);
	call.a = 1;
	call.b = 20;
	CHECK(call_raw(sock, &call, &reply) == -EFAULT);
	call = (struct door_call){ .op = DOOR_STORE, .fd = sock, .b = 9 };
	CHECK(call_raw(sock, &call, &reply) == -EPROTO);
	CHECK(is_free());
}

/* Somebody opens what somebody else takes away. */
TEST(a_race_for_paths)
{
	pid_t pid = fork();
	int i, fd;

	if (!pid) {
		for (i = 0; i < 300; i++) {
			(void)try_text(DRIVER "/unbind", ADDRESS);
			(void)try_text(DRIVER "/bind", ADDRESS);
		}
		_exit(0);
	}
	for (i = 0; i < 300; i++) {
		fd = open("/dev/vfio/devices/vfio0", O_RDWR);
		CHECK(fd >= 0 || errno == ENOENT || errno == ENODEV);
		if (fd >= 0)
			close(fd);
	}
	CHECK(!wait_for(pid));
	(void)try_text(DRIVER "/bind", ADDRESS);
	CHECK(is_free());
}

/*
 * KVM: what the fake below the preload library (fake_kvm.c) says is a machine.
 */

static int make_kvm_device(void)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int vm = open("/dev/zero", O_RDONLY);

	if (!getenv("DOOR_FAKE_KVM"))
		SKIP("there is no fake KVM");
	CHECK(!ioctl(vm, KVM_CREATE_DEVICE, &create));
	close(vm);
	return (int)create.fd;
}

/* Answers 001-16. */
TEST(kvm_takes_our_devices)
{
	int kvm = make_kvm_device(), iommu, dev = bound_device(&iommu),
	    null = open("/dev/null", O_RDWR);
	int32_t fd = dev;
	struct kvm_device_attr attr = { .group = 1, .attr = 1, .addr = (uintptr_t)&fd };

	CHECK(!ioctl(kvm, KVM_HAS_DEVICE_ATTR, &attr));
	CHECK(!ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	CHECK_ERRNO(EEXIST, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	fd = null;
	CHECK_ERRNO(EINVAL, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	fd = iommu;
	CHECK_ERRNO(EINVAL, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	fd = 9999;
	CHECK_ERRNO(EBADF, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	fd = dev;
	attr.attr = 2;
	CHECK(!ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	CHECK_ERRNO(ENOENT, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	CHECK_ERRNO(EPERM, ioctl(kvm, KVM_GET_DEVICE_ATTR, &attr));
	attr.attr = 9;
	CHECK_ERRNO(ENXIO, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	CHECK_ERRNO(ENXIO, ioctl(kvm, KVM_HAS_DEVICE_ATTR, &attr));
}

/* Answers 001-16. */
TEST(kvm_takes_groups_too)
{
	int kvm = make_kvm_device(), group = open_path("/dev/vfio/0");
	int32_t fd = group;
	struct kvm_device_attr attr = { .group = 1, .attr = 1, .addr = (uintptr_t)&fd };
	int container = open_path("/dev/vfio/vfio");

	CHECK(!ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
	fd = container;
	CHECK_ERRNO(EINVAL, ioctl(kvm, KVM_SET_DEVICE_ATTR, &attr));
}

TEST(other_devices_of_kvm_are_not_ours)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	int vm = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_RDONLY);

	(void)make_kvm_device();
	CHECK_ERRNO(ENODEV, ioctl(vm, KVM_CREATE_DEVICE, &create));
	create.type = KVM_DEV_TYPE_VFIO;
	CHECK_ERRNO(ENOTTY, ioctl(null, KVM_CREATE_DEVICE, &create));
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
