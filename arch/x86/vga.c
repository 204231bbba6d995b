// SPDX-License-Identifier: MIT
/*
 * 80 x 25 cells at 0xb8000, a character and a colour each.
 *
 * The text is kept in RAM and copied out, because reading video memory is slow everywhere. The
 * adapter itself is asked whether there is a text screen: after UEFI it shows pixels, and those
 * addresses are not its own.
 */
#include "arch/x86/console.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/mm/address_space.h"
#include "lib/string.h"

#define TEXT_MEMORY	((void *)(DIRECT_MAP + 0xb8000))
#define COLS		80u
#define ROWS		25u
#define BLANK		0x0720			/* a space, grey on black */
#define GRAPHICS_PORT	0x3ce			/* which register; the next port is its value */
#define CRTC_PORT	0x3d4			/* the same; 14 and 15 are the cursor's place */

static u16 cells[ROWS][COLS];
static unsigned int row, col;			/* of the cursor; col is COLS: the row is full */
static unsigned int changed;			/* the first row to copy out */
static bool present;

static void show(void)
{
	unsigned int cursor = row * COLS + min(col, COLS - 1);

	memcpy(TEXT_MEMORY + changed * sizeof(cells[0]), cells[changed],
	       (row - changed + 1) * sizeof(cells[0]));
	outw(CRTC_PORT, 14 | (cursor & 0xff00));	/* a word goes to both ports */
	outw(CRTC_PORT, 15 | cursor << 8);
}

static void new_line(void)
{
	col = 0;
	if (row < ROWS - 1) {
		row++;
		return;
	}
	changed = 0;
	memcpy(cells[0], cells[1], sizeof(cells) - sizeof(cells[0]));	/* it goes upwards */
	for (unsigned int c = 0; c < COLS; c++)
		cells[row][c] = BLANK;
}

static void put(u8 byte)
{
	if (byte == '\n' || (byte >= ' ' && col == COLS))
		new_line();
	if (byte == '\r')
		col = 0;
	else if (byte == '\b')
		col -= col > 0;
	else if (byte == '\t')
		col = min((col | 7) + 1, COLS);
	else if (byte >= ' ')
		cells[row][col++] = (BLANK & 0xff00) | byte;
}

void vga_init(void)
{
	/* Bit 0: pixels. Bits 3:2 are 3: memory at 0xb8000. All bits are set: nobody answers. */
	outb(GRAPHICS_PORT, 6);
	present = (inb(GRAPHICS_PORT + 1) & 0x0d) == 0x0c;
	if (!present)
		return;
	row = ROWS - 1;
	for (unsigned int i = 0; i < ROWS; i++)
		new_line();
	show();
	row = 0;
}

void vga_write(const char *bytes, size_t len)
{
	if (!present)
		return;
	changed = row;
	for (size_t i = 0; i < len; i++)
		put(bytes[i]);
	show();
}
