#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Takes Debian packages by name from a newer suite of the mirror that this
# machine's own apt is set to, and unpacks single paths of them into a cache.
# Nothing is installed and nothing of the system's apt is changed: lists,
# archives and configuration live in the cache. The packages are checked with
# the keyring that apt is configured to use for that mirror.
#
# Works for root and for an ordinary user. What was unpacked once is used again
# without network. Run with --help for the usage.

set -u -o pipefail

PROG=${0##*/}
CACHE=${SOFTIOMMU_CACHE:-${HOME:-/var/tmp}/.cache/softiommu}
SUITES=${SOFTIOMMU_SUITES:-trixie trixie-backports forky sid}
BASE=$CACHE/newer
STALE_DAYS=1
BATCH=16

usage()
{
    cat <<END
usage: $PROG pick   [options] PACKAGE
       $PROG unpack [options] PACKAGE PATH...
       $PROG tree   [options] PACKAGE PATH...

PACKAGE is an extended regular expression that must match a whole package
name; of several names the one that sorts highest as a version is taken, and of
that the newest version in any of the suites.

  pick     print "name version" of the package that would be taken
  unpack   unpack the PATHs (shell patterns, no leading slash) and print the
           directory they are in
  tree     the same, from the package and all that it depends on; each PATH has
           to be in one of them

  --arch ARCH         packages of this architecture, e.g. arm64
  --at-least VERSION  give up if the newest is older than this
  --suite SUITE       look in this suite only
  --inner PATTERN     the PATHs are inside this tar archive of the package,
                      and its top folder is dropped
  --refresh           ask the mirror again for something newer
  --help              this text

SOFTIOMMU_CACHE     where to keep things (default: ~/.cache/softiommu)
SOFTIOMMU_SUITES    suites to look in (default: $SUITES)
NEWER_REASON        a file to which the reason is written too if something
                    can't be had

Exit: 0 done, 77 can't be had (one line says why), 2 wrong usage.
END
}

say()
{
    echo "$PROG: $*" >&2
}

# cannot REASON - the thing can't be had here; callers count that as a skip
cannot()
{
    say "$*"
    [ -z "${NEWER_REASON:-}" ] || echo "$*" >"$NEWER_REASON"
    exit 77
}

wrong()
{
    say "$* (try $PROG --help)"
    exit 2
}

# megabytes PATH - what is stored under PATH
megabytes()
{
    du -sm "$1" 2>/dev/null | cut -f1
}

# watched WHAT DIR COMMAND... - run COMMAND; every five seconds say how long it
# has been at it and how much is in DIR
watched()
{
    local what=$1 dir=$2 start=$SECONDS ticker rc
    shift 2

    (
        trap 'kill $!; exit' TERM
        while sleep 5 & wait $!; do
            say "$what: $((SECONDS - start)) s, $(megabytes "$dir") MiB in place"
        done
    ) 9>&- >&2 &
    ticker=$!
    "$@"
    rc=$?
    kill "$ticker" 2>/dev/null
    wait "$ticker" 2>/dev/null
    return $rc
}

# mirror - print "URI|FILE:NUMBER" of the configured Debian mirror, the latter
# being where it is configured. Entries that apt knows to be Debian's own come
# first; before the machine's first update only the release's name can tell.
mirror()
{
    local codename fields
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    # The $(...) below are apt's own.
    # shellcheck disable=SC2016
    fields='$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)|$(SOURCESENTRY)'

    apt-get indextargets --format "$fields" 'Created-By: Packages' 2>/dev/null |
        awk -F'|' -v codename="$codename" '
            found || $3 != "main" { next }
            $1 == "Debian" && $2 == "Debian" { print $5 "|" $6; found = 1 }
            !guess && $1 !~ /^[A-Z]/ && $4 == codename { guess = $5 "|" $6 }
            END { if (!found && guess) print guess }'
}

# stanza FILE NUMBER - print the Signed-By of that stanza of a .sources file: a
# path, or the lines of a key that stands there itself
stanza()
{
    grep -v '^#' "$1" | awk -v RS= -v number="$2" 'NR == number' |
        awk 'tolower($1) == "signed-by:" { on = 1; $1 = ""; sub(/^ /, ""); if ($0) print; next }
             on && /^ / { sub(/^ /, ""); sub(/^\.$/, ""); print; next }
             { on = 0 }'
}

# keyring FILE:NUMBER - print the keyrings that a configured source is checked
# with, as one option of a source line; nothing if apt's own default ones are
keyring()
{
    local file=${1%:*} number=${1##*:} value

    case $file in
    *.sources) value=$(stanza "$file" "$number") ;;
    *) value=$(sed -n "${number}s/.*signed-by=\([^] ]*\).*/\1/p" "$file") ;;
    esac
    if [[ $value == *"BEGIN PGP"* ]]; then
        echo "$value" >"$APT/mirror.asc"
        value=$APT/mirror.asc
    fi
    [ -z "$value" ] || echo " signed-by=${value//[[:space:]]/,}"
}

# write_config - the private apt: its own lists, archives and sources
write_config()
{
    local found options each

    command -v apt-get >/dev/null || cannot "no apt-get: this is not a Debian machine"
    found=$(mirror)
    [ -n "$found" ] || cannot "apt has no Debian mirror configured (component main)"
    mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial" "$BASE/debs" ||
        cannot "can't write to $BASE"
    options="targets=Packages arch=$arch$(keyring "${found#*|}")"
    for each in $SUITES; do
        echo "deb [$options] ${found%%|*} $each main"
    done >"$APT/sources.list"

    # All suites alike, or one that is not installed from by itself would lose.
    printf 'Package: *\nPin: release a=*\nPin-Priority: 500\n' >"$APT/preferences"
    cat >"$APT/apt.conf" <<END
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
Dir::Etc::sourcelist "$APT/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "$APT/preferences";
Dir::Etc::preferencesparts "-";
Dir::State "$APT";
Dir::State::lists "$APT/lists";
Dir::State::status "/dev/null";
Dir::Cache "$APT/cache";
Dir::Cache::archives "archives";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::NeverAutoRemove;
END
    # Below root's home apt's own unprivileged user could not write.
    [ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >>"$APT/apt.conf"
}

have_lists()
{
    compgen -G "$APT/lists/*_Packages*" >/dev/null
}

# update - fetch the lists; a suite that the mirror lacks is no failure
update()
{
    write_config
    say "asking the configured mirror what ${SUITES// /, } offer${foreign:+ for $arch}"
    watched "fetching package lists" "$APT/lists" \
        apt-get -c "$APT/apt.conf" -qq update >"$APT/update.log" 2>&1
    have_lists || cannot "no package lists from the Debian mirror: $(grep -m1 '^[EW]:' \
        "$APT/update.log" | cut -c1-150)"
    echo "$SUITES" >"$APT/updated"
    refresh=no
}

lists_are_fresh()
{
    [ "$refresh" = no ] && have_lists &&
        [ "$(cat "$APT/updated" 2>/dev/null)" = "$SUITES" ] &&
        [ -n "$(find "$APT/updated" -mtime "-$STALE_DAYS" 2>/dev/null)" ]
}

# newest NAME - the newest version of one package
newest()
{
    local best="" version

    while read -r version; do
        if [ -z "$best" ] || dpkg --compare-versions "$version" gt "$best"; then
            best=$version
        fi
    done < <(apt-cache -c "$APT/apt.conf" madison "$1" 2>/dev/null |
        awk -F' *[|] *' -v suite="$suite" '
            $3 ~ /Packages$/ && (!suite || $3 ~ " " suite "/") { gsub(/ /, "", $2); print $2 }')
    echo "$best"
}

# choose PATTERN - print "name version", from memory or from the mirror
choose()
{
    local memory name version
    memory=$BASE/picked/$(echo "$1 ${suite:-$SUITES}$foreign" | cksum | tr ' ' -)
    if [ "$refresh" = no ] && [ -s "$memory" ]; then
        cat "$memory"
        return
    fi

    lists_are_fresh || update
    name=$(apt-cache -c "$APT/apt.conf" pkgnames 2>/dev/null | grep -Ex -- "$1" |
        sort -V | tail -n 1)
    [ -n "$name" ] || cannot "no package matches $1 in ${SUITES// /, }"
    version=$(newest "$name")
    [ -n "$version" ] || cannot "$name is not in ${suite:-any suite} of the mirror"

    mkdir -p "$BASE/picked" && echo "$name $version" >"$memory"
    echo "$name $version"
}

# new_enough VERSION - is it at least what --at-least asks for?
new_enough()
{
    [ -z "$at_least" ] || dpkg --compare-versions "$1" ge "$at_least"
}

# deb_of NAME VERSION - print the path of the package file if it is in the cache
deb_of()
{
    local file

    for file in "$BASE/debs/$1_${2//:/%3a}_"{"$arch",all}.deb; do
        [ -f "$file" ] && echo "$file" && return
    done
    return 1
}

# forget REASON - the choice may be out of date: next time make it anew
forget()
{
    rm -rf "$BASE/picked" "$APT/updated"
    cannot "$*"
}

# download NAME=VERSION... - bring the package files into the cache
download()
{
    lists_are_fresh || update
    rm -rf "$BASE/incoming"
    mkdir -p "$BASE/incoming" || cannot "can't write to $BASE"
    (
        cd "$BASE/incoming" &&
            watched "downloading" "$BASE/incoming" \
                apt-get -c "$APT/apt.conf" -qq download "$@" >"$APT/download.log" 2>&1
    ) || forget "${1//=/ } can't be downloaded: $(grep -m1 '^[EW]:' "$APT/download.log" |
        cut -c1-150)"
    mv "$BASE/incoming/"*.deb "$BASE/debs/" && rmdir "$BASE/incoming"
}

# fetch NAME VERSION - the package file is in the cache afterwards
fetch()
{
    deb_of "$1" "$2" >/dev/null && return
    say "downloading $1 $2"
    download "$1=$2"
}

# closure NAME VERSION - print "name version" of it and of what it depends on,
# as apt would install them on a machine that has nothing
closure()
{
    local log=$APT/closure.log

    lists_are_fresh || update
    apt-get -c "$APT/apt.conf" install --no-install-recommends -s "$1=$2" >"$log" 2>&1 ||
        forget "$1 $2 lacks what it depends on: $(grep -m1 '^[EW]:' "$log" | cut -c1-150)"
    awk '$1 == "Inst" { sub(/^\(/, "", $3); print $2, $3 }' "$log"
}

# fetch_all LIST - all packages of it, in batches: what an interrupted run has
# brought is there for the next one
fetch_all()
{
    local name version wanted=()

    while read -r name version; do
        deb_of "$name" "$version" >/dev/null || wanted+=("$name=$version")
    done <<<"$1"
    while [ ${#wanted[@]} -gt 0 ]; do
        say "downloading ${#wanted[@]} of $(wc -l <<<"$1") packages"
        download "${wanted[@]:0:BATCH}"
        wanted=("${wanted[@]:BATCH}")
    done
}

# member DEB - print the name of the inner archive, as the package writes it
member()
{
    local name

    dpkg-deb --fsys-tarfile "$1" | tar -t | while read -r name; do
        # The pattern is meant as one.
        # shellcheck disable=SC2053
        [[ ${name#./} == $inner ]] && echo "$name"
    done | head -n 1
}

# extract DEB DIR PATH... - the paths of the package itself
extract()
{
    local deb=$1 dir=$2
    shift 2

    dpkg-deb --fsys-tarfile "$deb" |
        tar -x -C "$dir" --wildcards --no-wildcards-match-slash "${@/#/./}"
}

# extract_inner DEB DIR PATH... - the paths of an archive inside the package
extract_inner()
{
    local deb=$1 dir=$2 name
    shift 2

    name=$(member "$deb")
    [ -n "$name" ] || cannot "${deb##*/} holds no $inner"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -O "$name" |
        tar -x -J -C "$dir" --strip-components=1 --wildcards \
            --no-wildcards-match-slash "${@/#/*/}"
}

# unpack NAME VERSION PATH... - print the directory that holds the paths
unpack()
{
    local name=$1 version=$2 dir asked how=extract
    shift 2
    asked="$inner $*$foreign"
    dir=$BASE/unpacked/${name}_${version//:/%3a}.$(echo "$asked" | cksum | cut -d' ' -f1)

    if [ ! -e "$dir.done" ]; then
        fetch "$name" "$version"
        [ -z "$inner" ] || how=extract_inner
        rm -rf "$dir" "$dir.done"
        mkdir -p "$dir" || cannot "can't write to $BASE"
        say "unpacking $# paths of $name $version"
        watched "unpacking $name" "$dir" "$how" "$(deb_of "$name" "$version")" "$dir" "$@" ||
            cannot "$name $version lacks some of: $*"
        touch "$dir.done"
    fi
    echo "$dir"
}

# extract_some DEB DIR PATH... - those of the paths that the package has
extract_some()
{
    # tar complains about the others, and has no other way.
    extract "$@" 2>/dev/null || true
}

# unpack_all NAMES DIR PATH... - from all packages of the list
unpack_all()
{
    local list=$1 dir=$2 name version path
    shift 2

    while read -r name version; do
        extract_some "$(deb_of "$name" "$version")" "$dir" "$@"
    done <<<"$list"
    for path; do
        compgen -G "$dir/$path" >/dev/null || return 1
    done
}

# tree NAME VERSION PATH... - print the directory that holds the paths
tree()
{
    local name=$1 version=$2 dir list
    shift 2
    dir=$BASE/unpacked/${name}_${version//:/%3a}.tree-$(echo "$*$foreign" | cksum | cut -d' ' -f1)

    if [ ! -e "$dir.done" ]; then
        list=$(closure "$name" "$version") || exit $?
        fetch_all "$list"
        rm -rf "$dir" "$dir.done"
        mkdir -p "$dir" || cannot "can't write to $BASE"
        say "unpacking $name $version and what it needs, $(wc -l <<<"$list") packages"
        watched "unpacking" "$dir" unpack_all "$list" "$dir" "$@" ||
            cannot "$name $version and what it needs lack some of: $*"
        touch "$dir.done"
    fi
    echo "$dir"
}

# one_at_a_time - two runs that share the cache take turns
one_at_a_time()
{
    mkdir -p "$BASE" 2>/dev/null || cannot "can't write to $BASE"
    exec 9>"$BASE/lock" || cannot "can't write to $BASE"
    flock -n 9 && return
    say "waiting for another run that uses $BASE"
    flock 9
}

# choose_arch - set $arch; each has a private apt of its own
choose_arch()
{
    local native

    native=$(dpkg --print-architecture 2>/dev/null) || cannot "no dpkg: this is not a Debian machine"
    APT=$BASE/apt
    if [ -z "$arch" ] || [ "$arch" = "$native" ]; then
        arch=$native
    else
        foreign=":$arch"
        APT=$BASE/apt-$arch
    fi
}

main()
{
    local action=${1:-} chosen

    [ $# -gt 0 ] && shift
    case $action in
    pick | unpack | tree) ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong "say pick, unpack or tree" ;;
    esac

    refresh=no at_least="" inner="" suite="" arch="" foreign=""
    while [ $# -gt 0 ]; do
        case $1 in
        --arch) arch=${2:-} && shift ;;
        --at-least) at_least=${2:-} && shift ;;
        --inner) inner=${2:-} && shift ;;
        --refresh) refresh=yes ;;
        --suite) suite=${2:-} && shift ;;
        -h | --help) usage && exit 0 ;;
        -*) wrong "unknown option $1" ;;
        *) break ;;
        esac
        shift
    done
    [ $# -gt 0 ] || wrong "which package?"
    [ "$action" = pick ] || [ $# -gt 1 ] || wrong "which paths?"

    choose_arch
    one_at_a_time
    chosen=$(choose "$1") || exit $?
    shift
    new_enough "${chosen#* }" || cannot "the newest is $chosen, wanted: $at_least or newer"
    if [ "$action" = pick ]; then
        echo "$chosen"
    else
        "$action" "${chosen% *}" "${chosen#* }" "$@"
    fi
}

main "$@"
