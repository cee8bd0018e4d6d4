-- +goose Up
-- drop index "payment_reference" from table: "payment": nobody looks for a reference
DROP INDEX "payment_reference";

-- +goose Down
-- reverse: drop index "payment_reference" from table: "payment"
CREATE INDEX "payment_reference" ON "payment" ("reference");
