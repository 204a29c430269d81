/* Which models a lane is coded with: what its neighbours' sizes and its channel say. */
#ifndef RESIDUAL_CONTEXT_H
#define RESIDUAL_CONTEXT_H

#include "format.h"
#include "model.h"

enum {
  ACTIVITIES = 56,         /* half octaves up to ten times LARGEST */
  CHANNELS = 4,            /* the channels from the fourth on share their models */
  LENGTHS = 16,
  PAIRS = LENGTHS * LENGTHS * 2,
  LARGEST = (1 << 24) - 1, /* no neighbour counts for more */
};

/* Where lanes stand and what their neighbours were. */
typedef struct {
  void *sizes;             /* of zeros, as far back as any neighbour lies, then of every lane so far */
  u32 at;                  /* the lane whose turn it is */
  u32 row, channels, channel;
  u32 *mean;               /* sixteen times each kind's mean size, sinking by a sixteenth a lane */
  Model *activity, *pair;
} Context;

typedef struct {
  Model *activity, *pair;
} Models;

INLINE u32 size_width(u32 width) { return width < 4 ? width : 4; }

/* Sizes of narrow lanes are the lanes; of wide ones what is not too large to be added up. */
INLINE void put_size(Context *context, u64 value, u32 width) {
  u64 size = width < 4 || value < LARGEST ? value : LARGEST;
  put_lane(context->sizes, context->at++, size, size_width(width));
}

INLINE u32 size_before(const Context *context, u32 distance, u32 width) {
  return (u32)lane_at(context->sizes, context->at - distance, size_width(width));
}

INLINE u32 bit_length(u32 value) {
  u32 length = value == 0 ? 0 : log2_of(value) + 1;
  return length < LENGTHS ? length : LENGTHS - 1;
}

/* The models of the next lane. Call it once for each lane, and put_size when the lane is known. */
INLINE Models models_of(Context *context, u32 width, bool grid) {
  u32 row = context->row, channels = context->channels;
  u32 kind = context->channel < CHANNELS ? context->channel : CHANNELS - 1;
  u32 west = size_before(context, channels, width);
  u32 far_west = size_before(context, 2 * channels, width);
  u32 activity = 2 * west + far_west, other, corner;
  if (grid) {
    other = size_before(context, row, width);
    corner = row > channels ? size_before(context, row - channels, width) : other;
    activity += 2 * other + corner + size_before(context, row + channels, width) +
                size_before(context, 2 * row, width);
  } else {
    u32 mean = context->mean[kind];
    context->mean[kind] = mean += west - (mean >> 4);
    other = mean >> 4;
    corner = size_before(context, 3 * channels, width);
    activity += corner + (mean >> 2);
  }
  if (context->channel != 0) activity += 2 * size_before(context, 1, width);
  context->channel = context->channel + 1 == channels ? 0 : context->channel + 1;
  u32 pair = 2 * (LENGTHS * bit_length(west) + bit_length(other)) + (corner != 0);
  return (Models){
      context->activity + (half_octave(activity) * CHANNELS + kind) * levels_of(width),
      context->pair + pair * CHANNELS + kind,
  };
}

INLINE u32 model_bytes(u32 width) {
  return (ACTIVITIES * levels_of(width) + PAIRS) * CHANNELS * (u32)sizeof(Model) + CHANNELS * 4;
}

INLINE u32 lanes_before(u32 row, u32 channels) { return 2 * row + 3 * channels; }

/* The scratch that a context needs for n lanes. */
INLINE u32 context_bytes(u32 n, u32 row, u32 channels, u32 width) {
  return model_bytes(width) + (n + lanes_before(row, channels)) * size_width(width);
}

/* A context in scratch that is all zeros. */
INLINE Context context_at(u8 *scratch, u32 row, u32 channels, u32 width) {
  Model *models = (Model *)scratch;
  return (Context){
      .sizes = scratch + model_bytes(width),
      .at = lanes_before(row, channels),
      .row = row,
      .channels = channels,
      .activity = models,
      .pair = models + ACTIVITIES * levels_of(width) * CHANNELS,
      .mean = (u32 *)(models + (ACTIVITIES * levels_of(width) + PAIRS) * CHANNELS),
  };
}

#endif
