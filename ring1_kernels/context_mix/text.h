/* What of a text's structure contexts are made: words, lines, fields, brackets. */
#ifndef CONTEXT_MIX_TEXT_H
#define CONTEXT_MIX_TEXT_H

enum { FIELDS = 256, DEPTH = 64 };

typedef struct {
  u32 word, word_before;                  /* hashes; the word that is being read may be empty: 0 */
  u32 line, line_before;                  /* where they begin */
  u32 field, field_hash;                  /* its number in the line, and what of it was read */
  u32 field_before;                       /* the hash of the field before this one */
  u32 fields_before;                      /* the number of the last field of the line before */
  u32 starts[2][FIELDS];                  /* where fields begin, in this line and the one before */
  u32 odd;                                /* which of the two is this line's */
  u32 shape;                              /* the classes of the last eight bytes */
  u32 key, keys[DEPTH], depth;            /* the last word before a quote, colon or equals sign */
} Text;

enum { OTHER, LETTER, DIGIT, BLANK, NEWLINE, QUOTE, COMMA, OPEN, CLOSE };

static inline u32 class_of(u32 byte) {
  if ((byte | 32) - 'a' < 26 || byte >= 128) return LETTER;
  if (byte - '0' < 10) return DIGIT;
  switch (byte) {
    case ' ': return BLANK;
    case '\n': return NEWLINE;
    case '"': case '\'': return QUOTE;
    case ',': case ';': case '\t': return COMMA;
    case '{': case '[': case '(': return OPEN;
    case '}': case ']': case ')': return CLOSE;
    default: return OTHER;
  }
}

/* Take note of a byte; `at` is where the next one stands. */
static void read_text(Text *t, u32 byte, u32 at) {
  u32 class = class_of(byte);
  t->shape = t->shape << 4 | class;
  if (class == LETTER) {
    t->word = hash(t->word, byte | 32);
  } else if (class == DIGIT) {
    t->word = hash(t->word, byte);
  } else {
    if (t->word) t->word_before = t->word;
    t->word = 0;
  }
  if (class == OPEN && t->depth < DEPTH - 1) t->keys[t->depth++] = t->key;
  if (class == CLOSE && t->depth > 0) t->depth--;
  if (class == QUOTE || byte == ':' || byte == '=') t->key = t->word_before;

  if (class == NEWLINE) {
    t->line_before = t->line;
    t->line = at;
    t->odd ^= 1;
    t->fields_before = t->field;
    t->field = 0;
  } else if (class == COMMA || class == BLANK || class == QUOTE || byte == ':') {
    if (t->field < FIELDS - 1) t->field++;
  } else {
    t->field_hash = hash(t->field_hash, byte);
    return;
  }
  t->starts[t->odd][t->field] = at;
  t->field_before = t->field_hash;
  t->field_hash = 0;
}

#endif
