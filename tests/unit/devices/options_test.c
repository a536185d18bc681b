// SPDX-License-Identifier: MIT
/* Options of models. */
#include "func.h"

static char error[128];

static struct pci_params with(const char *options)
{
	struct pci_params params = usual_params();

	params.options = options;
	params.error = error;
	params.error_bytes = sizeof(error);
	error[0] = '\0';
	return params;
}

TEST(values_are_found)
{
	char buf[8];

	EXPECT_TRUE(pci_option("a=1,file=x=y,b", "file", buf, sizeof(buf)));
	EXPECT_STR("x=y", buf);
	EXPECT_TRUE(pci_option("a=1,b", "a", buf, sizeof(buf)));
	EXPECT_STR("1", buf);
	EXPECT_TRUE(pci_option("a=1,b", "b", buf, sizeof(buf)));
	EXPECT_STR("", buf);
	EXPECT_TRUE(pci_option("ab=1,,a=", "a", buf, sizeof(buf)));
	EXPECT_STR("", buf);
	EXPECT_TRUE(!pci_option("ab=1", "a", buf, sizeof(buf)));
	EXPECT_TRUE(!pci_option("", "a", buf, sizeof(buf)));
	EXPECT_TRUE(pci_option("a=0123456789", "a", buf, sizeof(buf)));
	EXPECT_STR("0123456", buf);
}

TEST(unknown_names_are_refused)
{
	static const char *const names[] = { "size", "file", NULL };
	struct pci_params params = with("size=1,file=a");

	EXPECT_OK(pci_options_check(&params, names));
	params = with("");
	EXPECT_OK(pci_options_check(&params, names));
	params = with("size=1,fil=a");
	EXPECT_RC(-EINVAL, pci_options_check(&params, names));
	EXPECT_STR("option \"fil\" is not known: give size, file", error);
	/* No room for a line, or only a little. */
	params.error_bytes = 5;
	EXPECT_RC(-EINVAL, pci_options_check(&params, names));
	params.error = NULL;
	params.error_bytes = 0;
	EXPECT_RC(-EINVAL, pci_options_check(&params, names));
}

static int number(const char *text, u64 *value)
{
	char options[80];
	struct pci_params params;

	snprintf(options, sizeof(options), "n=%s", text);
	params = with(options);
	return pci_option_number(&params, "n", 1, 1ull << 40, value);
}

TEST(numbers)
{
	struct pci_params params = with("");
	u64 value = 77;

	EXPECT_OK(pci_option_number(&params, "n", 1, 10, &value));
	EXPECT_EQ(77, value);
	EXPECT_OK(number("12", &value));
	EXPECT_EQ(12, value);
	EXPECT_OK(number("0x10", &value));
	EXPECT_EQ(16, value);
	EXPECT_OK(number("4k", &value));
	EXPECT_EQ(4096, value);
	EXPECT_OK(number("3M", &value));
	EXPECT_EQ(3u << 20, value);
	EXPECT_OK(number("2G", &value));
	EXPECT_EQ(2ull << 30, value);
	EXPECT_OK(number("1T", &value));
	EXPECT_EQ(1ull << 40, value);
	EXPECT_RC(-EINVAL, number("0", &value));
	EXPECT_STR("option \"n\" takes a number from 1 to 1099511627776", error);
	EXPECT_RC(-EINVAL, number("2T", &value));
	EXPECT_RC(-EINVAL, number("", &value));
	EXPECT_RC(-EINVAL, number("-1", &value));
	EXPECT_RC(-EINVAL, number(" 1", &value));
	EXPECT_RC(-EINVAL, number("1kk", &value));
	EXPECT_RC(-EINVAL, number("1x", &value));
	EXPECT_RC(-EINVAL, number("18446744073709551616", &value));
	EXPECT_RC(-EINVAL, number("18446744073709551615G", &value));
	EXPECT_RC(-EINVAL, number("000000000000000000000000000000000000000001", &value));
	EXPECT_EQ(1ull << 40, value);
}

TEST(switches)
{
	struct pci_params params = with("a=on,b=off,c=yes,d=offoffoff");
	bool value = false;

	EXPECT_OK(pci_option_bool(&params, "a", &value));
	EXPECT_TRUE(value);
	EXPECT_OK(pci_option_bool(&params, "b", &value));
	EXPECT_TRUE(!value);
	EXPECT_OK(pci_option_bool(&params, "x", &value));
	EXPECT_RC(-EINVAL, pci_option_bool(&params, "c", &value));
	EXPECT_STR("option \"c\" takes on or off", error);
	EXPECT_RC(-EINVAL, pci_option_bool(&params, "d", &value));
}
