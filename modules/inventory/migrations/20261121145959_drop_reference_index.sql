-- +goose Up
-- drop index "reservation_reference" from table: "reservation"
DROP INDEX "reservation_reference";

-- +goose Down
-- reverse: drop index "reservation_reference" from table: "reservation"
CREATE INDEX "reservation_reference" ON "reservation" ("reference");
