# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# debian.sh: packages of another Debian than this machine's, for scripts that read this file. $suite
# names the other one, $kind is deb or deb-src, and all that apt keeps goes into $work: the system
# stays as it is, and root is not needed. After need_tools and prepare_apt, private_apt is apt-get.

# $what: the beginning of a sentence that says what cannot be had.
need_tools() {
	for tool; do
		command -v "$tool" >/dev/null || die "$what, and here is no $tool"
	done
}

# The system's own source of packages, of $suite. One line a source, or paragraphs; the first that
# names a Debian release is enough, without its updates.
other_source() {
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	[ -n "$release" ] || return
	if [ -r /etc/apt/sources.list.d/debian.sources ]; then
		awk -v RS= -v name="$release" '$0 ~ "(^|\n)Suites:[ \t]*" name "([ \t\n]|$)"' \
			/etc/apt/sources.list.d/debian.sources |
			sed "s/^Suites:.*/Suites: $suite/; s/^Types:.*/Types: $kind/" \
				>"$work/sources/other.sources"
	elif [ -r /etc/apt/sources.list ]; then
		sed -n "s/^deb \(.* \)$release main.*/$kind \1$suite main/p" /etc/apt/sources.list |
			head -n 1 >"$work/sources/other.list"
	fi
	find "$work/sources" -type f -size +0 | grep -q .
}

private_apt() {
	apt-get -q -o APT::Update::Error-Mode=any -o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$work/sources" \
		-o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" \
		-o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" \
		"$@" >>"$work/log" 2>&1
}

prepare_apt() {
	mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial"
	: >"$work/status"
	other_source || die "$what, and no source of Debian's packages is known here"
	private_apt update || die "the list of $suite's packages cannot be had (no network?)"
}
