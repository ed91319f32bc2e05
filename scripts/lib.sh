# shellcheck shell=bash
# Functions the scripts beside this file share. Sourced, never run:
#
#     source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# Everything that is downloaded or built goes to the cache outside the checkout, so that a clean checkout stays clean
# and two checkouts share the slow parts.

# The oldest JDK the project runs on: the Foreign Function & Memory API became final in it.
readonly VFIO4J_JDK=22

# With which options of the JVM the command line runs. A short run: compiling and collecting garbage with all threads would
# cost more than they save.
# shellcheck disable=SC2034 # for the scripts that source this file
readonly VFIO4J_JVM_OPTIONS=(--enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1)

# How long a package index is taken as current. It saves a download per run; a package that has meanwhile left the
# mirror makes debian_fetch refresh the index anyway.
readonly VFIO4J_INDEX_MINUTES=720

# die MESSAGE: ends the script. The message should name what to do.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# note MESSAGE: progress. On the error stream, so that the output of a function can be captured.
note() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# project_dir: prints the root of the checkout.
project_dir() {
    (cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
}

# lock_checkout: waits until no other script builds in the checkout. The lock is on the directory, which no build replaces,
# and is held until descriptor 9 is closed. Where there is no flock (macOS), starting two scripts at once before the first
# build is done is not safe.
lock_checkout() {
    exec 9< "$(project_dir)"
    if command -v flock > /dev/null && ! flock -w 1 9; then
        note "waiting for another script, which is building"
        flock 9
    fi
}

# compile_tests ARGUMENT…: compiles the checkout with its tests; the arguments are more for Maven. Leaves target/classes,
# target/test-classes and, in target/test.classpath, the jars that the tests need.
compile_tests() {
    need_command mvn maven
    (cd "$(project_dir)" && mvn -q -B -Dstyle.color=never -DskipTests "$@" test-compile \
        dependency:build-classpath -Dmdep.includeScope=test -Dmdep.outputFile=target/test.classpath)
}

# cache_dir [SUBDIRECTORY]: makes the directory and prints its path.
cache_dir() {
    local dir="${XDG_CACHE_HOME:-$HOME/.cache}/vfio4j${1:+/$1}"
    mkdir -p "$dir" || die "cannot make $dir: set XDG_CACHE_HOME to a directory you can write to"
    printf '%s\n' "$dir"
}

# need_command COMMAND PACKAGE…: makes sure that a command is there. Only a CI machine is changed (by root, with CI set
# as every CI service does); anybody else is told what to install.
need_command() {
    local command="$1"
    shift
    command -v "$command" > /dev/null && return
    [[ $# -gt 0 ]] || die "'$command' is needed and not on PATH"
    install_packages "'$command'" "$@"
    command -v "$command" > /dev/null || die "'$command' is still not on PATH after installing $*"
}

# need_header HEADER PACKAGE…: the same for a header that the C compiler has to find, for example gelf.h.
need_header() {
    local header="$1"
    shift
    has_header "$header" && return
    install_packages "the header $header" "$@"
    has_header "$header" || die "the header $header is still not there after installing $*"
}

# has_header HEADER: whether the C compiler finds it.
has_header() {
    printf '#include <%s>\n' "$1" | cc -E -x c -o /dev/null - 2> /dev/null
}

# install_packages WHAT PACKAGE…: the part of the two above that changes a CI machine.
install_packages() {
    local what="$1"
    shift
    if [[ -n "${CI:-}" && "$(id -u)" == 0 ]] && command -v apt-get > /dev/null; then
        note "installing $* for $what"
        # The lock timeout is for machines on which another job installs packages at the same time.
        if ! { apt-get -q -o DPkg::Lock::Timeout=600 update \
                && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 \
                    install --no-install-recommends "$@"; } >&2; then
            die "$what is needed and installing $* failed"
        fi
    else
        die "$what is needed: install it, on Debian and Ubuntu with: apt-get install $*"
    fi
}

# jdk_feature_version HOME: prints the feature version (22, 25, …) of the JDK in HOME; fails when there is none.
# A runtime without javac does not count: every caller compiles or links something.
jdk_feature_version() {
    local home="$1" version=""
    [[ -x "$home/bin/java" && -x "$home/bin/javac" ]] || return 1
    if [[ -r "$home/release" ]]; then
        version="$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")"
    fi
    if [[ -z "$version" ]]; then
        version="$("$home/bin/javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')"
    fi
    [[ -n "$version" ]] && printf '%s\n' "$version"
}

# find_jdk: sets and exports JAVA_HOME. A JAVA_HOME that will do is kept; else the newest JDK in the usual places is
# taken, because `java` on PATH is often an older one that only starts Maven.
find_jdk() {
    local home version best="" best_version=0 variable
    local -a candidates=()
    if [[ -n "${JAVA_HOME:-}" ]] && version="$(jdk_feature_version "$JAVA_HOME")" && ((version >= VFIO4J_JDK)); then
        export JAVA_HOME
        return
    fi
    if home="$(command -v javac)" && home="$(readlink -f "$home")"; then
        candidates+=("${home%/bin/javac}")
    fi
    # CI services announce their JDKs this way.
    for variable in "${!JAVA_HOME_@}"; do
        candidates+=("${!variable}")
    done
    candidates+=(/usr/lib/jvm/* /usr/java/* /opt/*jdk* /opt/java/* /opt/hostedtoolcache/Java_*/*/*
        "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* "$HOME"/.asdf/installs/java/*
        /Library/Java/JavaVirtualMachines/*/Contents/Home)
    for home in "${candidates[@]}"; do
        if version="$(jdk_feature_version "$home")" && ((version > best_version)); then
            best="$home"
            best_version="$version"
        fi
    done
    ((best_version >= VFIO4J_JDK)) \
        || die "a JDK of version $VFIO4J_JDK or later is needed: install one and set JAVA_HOME to it"
    export JAVA_HOME="$best"
}

# debian_mirror: prints the address of the Debian archive. Read from the machine's own configuration, which knows the
# mirror that is near or allowed; DEBIAN_MIRROR names it on a machine that is not Debian.
debian_mirror() {
    local mirror="${DEBIAN_MIRROR:-}"
    if [[ -z "$mirror" ]] && grep -qsx 'ID=debian' /etc/os-release; then
        need_command apt-get apt
        # --no-release-info also lists sources whose index was never downloaded, as in a fresh container. The archive
        # of security updates is another one: it does not have the suites asked for here.
        # shellcheck disable=SC2016 # $(SITE) is for apt
        mirror="$(apt-get indextargets --no-release-info --format '$(SITE) $(RELEASE)' 'Created-By: Packages' \
            | awk '$2 !~ /security/ && !mirror { mirror = $1 } END { print mirror }')"
    fi
    [[ -n "$mirror" ]] || die "no Debian mirror in the configuration of apt: set DEBIAN_MIRROR to the address of one"
    printf '%s\n' "${mirror%/}"
}

# debian_apt SUITE COMMAND ARGUMENT…: runs apt-get or apt-cache on another suite, with configuration and state of its
# own, so that nothing of the machine's package state is read or changed and no rights are needed. What apt checks
# (signature of the index, checksums of the packages) stays checked, against Debian's own keys.
debian_apt() {
    local suite="$1" command="$2" root mirror keyring source
    shift 2
    keyring="${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}"
    [[ -r "$keyring" ]] \
        || die "no $keyring: install debian-archive-keyring, or set DEBIAN_KEYRING to the file it would install"
    mirror="$(debian_mirror)" || exit 1
    root="$(cache_dir "apt/$suite")"
    mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial" "$root/etc"
    source="deb [signed-by=$keyring] $mirror $suite main"
    # Only when it changes: apt takes a file that is newer than its cache of the package lists as a reason to parse
    # them again, which is a second or more for every call.
    if [[ "$source" != "$(cat "$root/etc/sources.list" 2> /dev/null)" ]]; then
        printf '%s\n' "$source" > "$root/etc/sources.list.$$"
        mv "$root/etc/sources.list.$$" "$root/etc/sources.list"
    fi
    # The sandbox user of apt has no access to a home directory, where the cache is. Container images turn off the cache
    # of the package lists.
    "$command" \
        -o Dir::Etc::sourcelist="$root/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State="$root/state" -o Dir::State::status=/dev/null -o Dir::Cache="$root/cache" \
        -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
        -o APT::Sandbox::User="$(id -un)" -o APT::Get::AllowUnauthenticated=false -q "$@"
}

# debian_update SUITE [now]: refreshes the index of a suite when it is old, or always with `now`. Without a network an
# old index is better than none: what it names may be in the cache.
debian_update() {
    local suite="$1" now="${2:-}" stamp
    stamp="$(cache_dir "apt/$suite")/updated"
    if [[ -z "$now" && -n "$(find "$stamp" -mmin "-$VFIO4J_INDEX_MINUTES" 2> /dev/null)" ]]; then
        return
    fi
    # Without Error-Mode=any apt reports a mirror it cannot reach as a success.
    if debian_apt "$suite" apt-get -o APT::Update::Error-Mode=any update >&2; then
        touch "$stamp"
    elif [[ -e "$stamp" ]]; then
        note "the index of Debian $suite could not be refreshed, using the one of $(date -r "$stamp" +%F)"
    else
        die "the index of Debian $suite could not be downloaded"
    fi
}

# debian_fetch SUITE PACKAGE…: prints the path of each package's .deb file in the cache, in the order asked for;
# downloads those which are not there in the suite's current version. The packages only, not what they depend on.
debian_fetch() {
    local suite="$1"
    shift
    need_command apt-get apt
    need_command flock util-linux
    local debs
    debs="$(cache_dir debs)" || exit 1
    (
        # Two scripts may want the same package at the same time.
        flock 9
        debian_update "$suite"
        if ! debian_download "$suite" "$debs" "$@"; then
            # Rolling suites drop a version as soon as the next one is there.
            debian_update "$suite" now
            debian_download "$suite" "$debs" "$@" || die "cannot download from Debian $suite: $*"
        fi
    ) 9> "$debs/.lock" || exit 1
}

# debian_download SUITE DIRECTORY PACKAGE…: the part of debian_fetch that can be tried again.
debian_download() {
    local suite="$1" debs="$2" package uri name
    shift 2
    for package in "$@"; do
        # 'address' name size checksum
        uri="$(debian_apt "$suite" apt-get --print-uris download "$package" | tail -n 1)" || return 1
        name="$(awk '{ print $2 }' <<< "$uri")"
        [[ "$name" == *.deb ]] || return 1
        if [[ ! -s "$debs/$name" ]]; then
            note "downloading $name"
            # Moved into place when complete: a file that is there was checked by apt.
            rm -rf "$debs/.partial"
            mkdir -p "$debs/.partial"
            (cd "$debs/.partial" && debian_apt "$suite" apt-get download "$package" >&2) || return 1
            mv "$debs/.partial/$name" "$debs/$name" || return 1
        fi
        printf '%s\n' "$debs/$name"
    done
}

# debian_depends SUITE PACKAGE: prints the names of the packages that the suite's version of a package depends on, one a
# line; of alternatives the first.
debian_depends() {
    local suite="$1" package="$2" debs
    need_command apt-cache apt
    need_command flock util-linux
    debs="$(cache_dir debs)" || exit 1
    (
        # As for debian_fetch.
        flock 9
        debian_update "$suite"
        # A suite can have two versions of a package for a while.
        debian_apt "$suite" apt-cache show --no-all-versions "$package" \
            | sed -n 's/^Depends: //p' | tr ',' '\n' | awk '{ print $1 }'
    ) 9> "$debs/.lock"
}

# debian_unpack DEB…: prints for each file the directory in the cache that holds its contents; nothing is installed.
debian_unpack() {
    need_command dpkg-deb dpkg
    local deb root dir
    root="$(cache_dir unpacked)" || exit 1
    for deb in "$@"; do
        dir="$root/$(basename "$deb" .deb)"
        if [[ ! -d "$dir" ]]; then
            rm -rf "$dir.$$"
            dpkg-deb -x "$deb" "$dir.$$" || die "cannot unpack $deb: remove it and try again"
            # The loser of a race keeps what the winner unpacked.
            mv -T "$dir.$$" "$dir" 2> /dev/null || rm -rf "$dir.$$"
        fi
        printf '%s\n' "$dir"
    done
}

# The headers that the bindings are made from, below a directory of headers.
readonly VFIO4J_HEADERS=(linux/iommufd.h linux/vfio.h)

# pin KEY: prints a value of jextract-config/headers.pin, which names the headers the bindings are made from.
pin() {
    local value
    value="$(sed -n "s|^$1 = ||p" "$(project_dir)/jextract-config/headers.pin")"
    [[ -n "$value" ]] || die "jextract-config/headers.pin has no line '$1 = …'"
    printf '%s\n' "$value"
}

# pinned_include: prints the directory in the cache that has the pinned headers. The pinned version of their package
# stays there after the suite has moved on; where it never was, the current one takes its place, and is_pinned has to
# tell.
pinned_include() {
    local dir deb include
    include="$(pin include)" || exit 1
    dir="$(cache_dir unpacked)/$(pin package)_$(pin version)_all"
    if [[ ! -r "$dir/$include/${VFIO4J_HEADERS[0]}" ]]; then
        deb="$(debian_fetch "$(pin suite)" "$(pin package)")" || exit 1
        dir="$(debian_unpack "$deb")" || exit 1
    fi
    printf '%s\n' "$dir/$include"
}

# header_includes DIRECTORY: prints, a line each, the arguments that make a compiler find the headers below DIRECTORY
# (one that has linux/ in it) before the machine's own. linux/types.h and linux/ioctl.h, which both need, lead into
# asm/, which Debian keeps in a directory for each architecture.
header_includes() {
    printf '%s\n' -I "$1"
    if [[ -d "$1/$(multiarch_name)" ]]; then
        printf '%s\n' -I "$1/$(multiarch_name)"
    fi
}

# multiarch_name: prints the name Debian gives this machine's architecture in directories of headers.
multiarch_name() {
    local machine
    machine="$(uname -m)"
    case "$machine" in
        ppc64le) machine=powerpc64le ;;
        armv*) printf 'arm-linux-gnueabihf\n' && return ;;
    esac
    printf '%s-linux-gnu\n' "$machine"
}

# is_pinned DIRECTORY: whether the headers below DIRECTORY are the pinned ones.
is_pinned() {
    local header
    for header in "${VFIO4J_HEADERS[@]}"; do
        [[ "$(sha256_of "$1/$header")" == "$(pin "sha256 of $header")" ]] || return 1
    done
}

# sha256_of FILE: prints its SHA-256.
sha256_of() {
    sha256sum < "$1" | cut -d ' ' -f 1
}

# check_headers DIRECTORY: makes sure that the headers are below DIRECTORY.
check_headers() {
    local header
    for header in "${VFIO4J_HEADERS[@]}"; do
        [[ -r "$1/$header" ]] || die "cannot read $1/$header"
    done
}
