"""What acts on estimates: which comes first, what runs beside what, what is fetched early."""
