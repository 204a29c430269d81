/* Rows put together from a template's pieces and their fields. */
#ifndef TABLE_JOINING_H
#define TABLE_JOINING_H

/* A template's pieces. Those that a vector holds lie in one. */
typedef struct {
  Cell cells[MOST_COLUMNS + 1];
  Bytes short_ones[MOST_COLUMNS + 1];
  u32 columns;
} Template;

static void add_piece(Template *template, u32 place, Cell piece) {
  template->cells[place] = piece;
  template->short_ones[place] = (Bytes){};
  if (piece.length <= sizeof(Bytes))
    for (u32 i = 0; i < piece.length; i++) template->short_ones[place][i] = bytes_of(piece)[i];
}

/* The template's pieces and the row's fields in turns. Most are short, and lie in their stream with
 * others behind them, as does the text to come: those are moved as vectors. What that writes too
 * much is written over. */
static inline bool put_row(Text *text, const Template *template, const Tables *tables, u32 rows,
                           u32 row, Input fields, Input made) {
  u32 last = template->columns;
  const u32 *field = tables->fields + row;
  for (u32 c = 0; c < last; c++, field += rows) {
    Cell piece = template->cells[c], cell = tables->texts[*field];
    if ((u32)(text->end - text->at) >= 2 * sizeof(Bytes) && piece.length <= sizeof(Bytes) &&
        cell.length <= sizeof(Bytes) &&
        (cell.at - fields.ptr <= fields.len - (u32)sizeof(Bytes) ||
         cell.at - made.ptr <= made.len - (u32)sizeof(Bytes))) {
      *(Bytes *)text->at = template->short_ones[c];
      text->at += piece.length;
      *(Bytes *)text->at = *(const Bytes *)bytes_of(cell);
      text->at += cell.length;
    } else if (!put_bytes(text, bytes_of(piece), piece.length) ||
               !put_bytes(text, bytes_of(cell), cell.length)) {
      return false;
    }
  }
  return put_bytes(text, bytes_of(template->cells[last]), template->cells[last].length);
}

#endif
