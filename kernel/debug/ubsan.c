// SPDX-License-Identifier: MIT
/*
 * The functions that a kernel built with UBSAN=1 calls where C leaves a result undefined
 * (-fsanitize=undefined of gcc and clang).
 *
 * For each of its checks the compiler stores a description of the place and of the types. The
 * handler gets the description's address, then the values. Layouts and names are the compilers'
 * own. A place prints one line, once, but counts each time. Context: any; does not sleep.
 */
#include "kernel/report/panic.h"
#include "lib/printk.h"
#include "lib/string.h"

#define REPORTED	~0u			/* as the column of a place */
#define VALUE_MAX	24

struct place {
	const char *file;
	u32 line, column;
};

/* An integer has kind 0; its info is 1 if it is signed, plus 2 * log2(its bits). */
struct type {
	u16 kind, info;
	char name[];				/* with quotes: 'int' */
};

/* Every description begins with the place; many continue with one or two types. */
struct check {
	struct place place;
	const struct type *type, *type2;
};

static void __printf(2, 3) report(struct place *place, const char *fmt, ...)
{
	u32 column = __atomic_exchange_n(&place->column, REPORTED, __ATOMIC_RELAXED);
	char text[120];
	va_list args;

	splat_count(SPLAT_UBSAN);
	add_taint(TAINT_WARN);
	if (column == REPORTED)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_err("UBSAN: %s at %s:%u:%u", text, place->file, place->line, column);
}

/* A value comes in a register, with undefined upper bits, or as an address if it does not fit. */
static const char *text_of(char text[VALUE_MAX], const struct type *type, void *value)
{
	unsigned int log_bits = type->info >> 1, unused;

	if (type->kind || log_bits > 6)
		return "?";
	unused = 64 - (1U << log_bits);
	if (type->info & 1)
		snprintf(text, VALUE_MAX, "%lld", (s64)((u64)value << unused) >> unused);
	else
		snprintf(text, VALUE_MAX, "%llu", (u64)value << unused >> unused);
	return text;
}

static void overflow(struct check *check, void *a, const char *op, void *b)
{
	char left[VALUE_MAX], right[VALUE_MAX];

	report(&check->place, "%s %s %s does not fit in %s", text_of(left, check->type, a), op,
	       text_of(right, check->type, b), check->type->name);
}

void __ubsan_handle_add_overflow(void *check, void *a, void *b)
{
	overflow(check, a, "+", b);
}

void __ubsan_handle_sub_overflow(void *check, void *a, void *b)
{
	overflow(check, a, "-", b);
}

void __ubsan_handle_mul_overflow(void *check, void *a, void *b)
{
	overflow(check, a, "*", b);
}

/* The division itself comes next, and traps. */
void __ubsan_handle_divrem_overflow(void *check, void *a, void *b)
{
	overflow(check, a, "/", b);
}

void __ubsan_handle_negate_overflow(void *check, void *a)
{
	overflow(check, NULL, "-", a);
}

void __ubsan_handle_shift_out_of_bounds(void *data, void *a, void *b)
{
	char left[VALUE_MAX], right[VALUE_MAX];
	struct check *check = data;

	report(&check->place, "%s shifted by %s in %s", text_of(left, check->type, a),
	       text_of(right, check->type2, b), check->type->name);
}

void __ubsan_handle_out_of_bounds(void *data, void *index)
{
	struct check *check = data;
	char text[VALUE_MAX];

	report(&check->place, "index %s is outside of %s", text_of(text, check->type2, index),
	       check->type->name);
}

/* In C, only for a bool. */
void __ubsan_handle_load_invalid_value(void *data, void *value)
{
	struct check *check = data;
	char text[VALUE_MAX];

	report(&check->place, "a truth value is %s", text_of(text, check->type, value));
}

void __ubsan_handle_vla_bound_not_positive(void *data, void *bound)
{
	struct check *check = data;
	char text[VALUE_MAX];

	report(&check->place, "an array of %s elements", text_of(text, check->type, bound));
}

/* A null pointer, or one with too little space behind it. */
void __ubsan_handle_type_mismatch_v1(void *data, void *pointer)
{
	struct check *check = data;

	report(&check->place, "%p is used as the address of %s", pointer, check->type->name);
}

void __ubsan_handle_pointer_overflow(void *place, void *from, void *to)
{
	report(place, "pointer %p leaves its object for %p", from, to);
}

void __ubsan_handle_nonnull_arg(void *place)
{
	report(place, "a null pointer is given to a function that takes none");
}

void __ubsan_handle_nonnull_return_v1(void *data, void *place)
{
	report(place, "a null pointer is returned by a function that returns none");
}

void __ubsan_handle_invalid_builtin(void *place)
{
	report(place, "zero is given to a count of its zero bits");
}

/* There is no code behind the call to return to. */
void __ubsan_handle_builtin_unreachable(void *data)
{
	struct place *place = data;

	panic("UBSAN: unreachable code was reached at %s:%u:%u", place->file, place->line,
	      place->column);
}
