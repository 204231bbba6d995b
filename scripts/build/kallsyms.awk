# SPDX-License-Identifier: MIT
#
# Writes the table of lib/kallsyms.c as assembly:
#	nm -n splat.elf | awk -f scripts/build/kallsyms.awk > kallsyms.S
# For the first link, which has no symbols to list yet, give it no input: the table is then empty.
# The second link adds the real table; it must lie behind the code, so that the code stays where the
# first link put it.
#
# Addresses stay text: awk's numbers are doubles, too short for 64 bits. Each has 16 digits, so
# comparing them as text (that is what the "" is for) compares them as numbers, and the assembler
# does the subtraction.

{ address[NR] = $1 ""; type[NR] = $2; name[NR] = $3 }
$3 == "_stext" { stext = $1 "" }
$3 == "_etext" { etext = $1 "" }

# Of several names for one address the best is a global one. Next is a static one; one with a
# leading "_" comes last, for such are the marks that the linker script sets around groups of
# functions.
function rank(i)
{
	return name[i] ~ /^_/ ? 0 : type[i] == "t" ? 1 : 2
}

function is_function(i)
{
	return type[i] ~ /^[tTwW]$/ && address[i] >= stext && address[i] < etext && \
	       name[i] !~ /^(\.L|\$)/ && name[i] != "_stext"
}

END {
	for (i = 1; i <= NR; i++) {
		if (!is_function(i))
			continue
		if (!count || address[i] != address[chosen[count - 1]])
			chosen[count++] = i
		else if (rank(i) > rank(chosen[count - 1]))
			chosen[count - 1] = i
	}

	print ".section .rodata_kallsyms, \"a\", @progbits"
	print ".globl kallsyms_count, kallsyms_offsets, kallsyms_name_offsets, kallsyms_names"
	print ".balign 4"
	printf "kallsyms_count: .long %d\n", count
	print "kallsyms_offsets:"
	for (i = 0; i < count; i++)
		printf "\t.long 0x%s - 0x%s\n", address[chosen[i]], stext
	print "kallsyms_name_offsets:"
	for (i = 0; i < count; i++)
		printf "\t.long .Lname%d - kallsyms_names\n", i
	print "kallsyms_names:"
	for (i = 0; i < count; i++)
		printf ".Lname%d: .asciz \"%s\"\n", i, name[chosen[i]]
	print ".section .note.GNU-stack, \"\", @progbits"
}
