// SPDX-License-Identifier: MIT
/* Splitting the command line into name=value, and finding who owns each name. */
#include "lib/options.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

extern const struct boot_option __start_bootopts[], __stop_bootopts[];

int panic_on_warn;
char init_path[64] = "/bin/sh";
const char *init_argv[INIT_ARGS_MAX + 2] = { init_path };

/*
 * The option that "name=value" names, with *@value behind the "="; NULL if there is none, or if two
 * files own it, because one of them would be deceived.
 */
static const struct boot_option *find_option(const char *assignment, const char **value)
{
	const char *eq = strchr(assignment, '=');
	size_t len = eq ? (size_t)(eq - assignment) : strlen(assignment);
	const struct boot_option *found = NULL;

	*value = eq ? eq + 1 : "";
	for (const struct boot_option *o = __start_bootopts; o < __stop_bootopts; o++) {
		if (strlen(o->name) != len || strncmp(o->name, assignment, len))
			continue;
		if (found)
			return NULL;
		found = o;
	}
	return found;
}

int option_word(char *to, size_t size, const char *value)
{
	if (!*value || strlen(value) >= size)
		return -EINVAL;
	strscpy(to, value, size);
	return 0;
}

int option_number(const char *value, int most)
{
	int nr = 0;

	for (const char *p = value; *p; p++) {
		if (*p < '0' || *p > '9' || nr > most)
			return -EINVAL;
		nr = 10 * nr + *p - '0';
	}
	return *value && nr <= most ? nr : -EINVAL;
}

static int set_option(const struct boot_option *o, const char *value)
{
	if (o->set)
		return o->set(value);
	for (int i = 0; o->values[i]; i++) {
		if (!strcmp(value, o->values[i])) {
			*o->choice = i;
			return 0;
		}
	}
	return -EINVAL;
}

static void parse_word(const char *word)
{
	char values[120] = "";
	const char *value;
	const struct boot_option *o = find_option(word, &value);

	if (!o) {
		pr_warn("options: \"%s\" is unknown and ignored", word);
	} else if (set_option(o, value)) {
		for (size_t i = 0, len = 0; o->values[i] && len < sizeof(values); i++)
			len += snprintf(values + len, sizeof(values) - len, " %s", o->values[i]);
		pr_warn("options: %s=\"%s\" is not one of:%s; ignored", o->name, value, values);
	}
}

void options_parse(char *cmdline)
{
	unsigned int argc = 1;
	bool for_init = false;
	char *p = cmdline;

	while (*p) {
		char *word;

		while (*p == ' ')
			*p++ = '\0';
		word = p;
		while (*p && *p != ' ')
			p++;
		if (*p)
			*p++ = '\0';
		if (!*word)
			break;
		if (for_init && argc <= INIT_ARGS_MAX)
			init_argv[argc++] = word;
		else if (for_init)
			pr_warn("options: more than %d words for init; \"%s\" is dropped",
				INIT_ARGS_MAX, word);
		else if (!strcmp(word, "--"))
			for_init = true;
		else
			parse_word(word);
	}
}

int option_set_runtime(const char *assignment)
{
	const char *value;
	const struct boot_option *o = find_option(assignment, &value);

	if (!o)
		return -EINVAL;
	return o->runtime ? set_option(o, value) : -EPERM;
}

BOOT_CHOICE(panic_on_warn, panic_on_warn, true, "0", "1");

static int set_init(const char *value)
{
	return *value == '/' ? option_word(init_path, sizeof(init_path), value) : -EINVAL;
}
BOOT_OPTION(init, set_init, false, "an absolute path of less than 64 characters");

/* Each word is its own number. */
BOOT_CHOICE(loglevel, console_loglevel, true, "0", "1", "2", "3", "4", "5", "6", "7", "8");
