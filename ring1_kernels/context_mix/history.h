/* Bit histories: what was seen after a context, in one byte.
 *
 * A state stands for how many zeros and ones there were, and which came last. A bit adds to its own
 * count and lowers the other one where that is above two, since what was seen lately counts more.
 * States are numbered in the order in which a breadth-first walk from the empty history meets them,
 * zero before one. There are 215. */
#ifndef CONTEXT_MIX_HISTORY_H
#define CONTEXT_MIX_HISTORY_H

enum { STATES = 256, MOST = 41 };

typedef struct { u8 zeros, ones, last; } History;

typedef struct {
  u8 next[STATES][2];
  u8 weight[STATES];                      /* how many bits a state remembers */
  History of[STATES];
  u8 number[MOST + 2][MOST + 2][2];       /* while the walk goes on: 0 where there is none yet */
} Histories;

static inline u32 lowered(u32 count) {
  if (count >= 25) return 7;
  if (count >= 16) return 6;
  if (count >= 10) return 5;
  if (count >= 6) return 4;
  return count >= 3 ? 3 - (count == 3) : count;
}

/* The larger count may be at most this where the smaller one is 0, 1, ... 5. */
static const u8 LARGER[] = {41, 40, 12, 5, 4, 3};

static History after(History h, u32 bit) {
  u32 count[2] = {h.zeros, h.ones};
  count[bit]++;
  count[!bit] = lowered(count[!bit]);
  for (;;) {
    u32 small = count[0] < count[1] ? 0 : 1;
    u32 large = !small;
    if (count[small] < sizeof LARGER && count[large] <= LARGER[count[small]]) break;
    if (count[0] == count[1]) count[bit]--;
    else count[large]--;
  }
  /* With one count at zero, the last bit is known anyway. */
  u32 last = count[0] == 0 ? 1 : count[1] == 0 ? 0 : bit;
  return (History){(u8)count[0], (u8)count[1], (u8)last};
}

static void fill_histories(Histories *all) {
  u32 known = 1;
  for (u32 at = 0; at < known; at++) {
    all->weight[at] = (u8)(all->of[at].zeros + all->of[at].ones);
    for (u32 bit = 0; bit < 2; bit++) {
      History h = after(all->of[at], bit);
      u8 *number = &all->number[h.zeros][h.ones][h.last];
      if (*number == 0) {
        *number = (u8)known;
        all->of[known++] = h;
      }
      all->next[at][bit] = *number;
    }
  }
}

#endif
