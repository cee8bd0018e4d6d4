-- +goose Up
-- A saga is written down once and changed at each of its boundaries, soon after. With room on its page the indexes need not follow.
ALTER TABLE cleave_saga SET (fillfactor = 50);

-- +goose Down
ALTER TABLE cleave_saga RESET (fillfactor);
