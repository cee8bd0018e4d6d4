-- What products are found by. Neither table is ent's: one holds a tsvector, and both follow from the products.

-- +goose Up
CREATE TABLE "product_search" ("product_id" text NOT NULL, "category" text NOT NULL, "document" tsvector NOT NULL, PRIMARY KEY ("product_id"));
-- Every search reads what is not yet sorted in, so that is little.
CREATE INDEX "product_search_document" ON "product_search" USING gin ("document") WITH (gin_pending_list_limit = 256);
-- The words of titles and categories, and what is left of each when it is stemmed. Byte order makes prefixes ranges of the index. Words stay when
-- no product has them any more: then they are found, with nothing behind them.
CREATE TABLE "search_word" ("word" text COLLATE "C" NOT NULL, PRIMARY KEY ("word"));
-- Each word as it is, and with each of its letters missing. Two words that differ by one slip have a row with the same typo.
CREATE TABLE "search_typo" ("typo" text COLLATE "C" NOT NULL, "word" text COLLATE "C" NOT NULL, PRIMARY KEY ("typo", "word"));

-- +goose StatementBegin
-- What joins words to e-mail addresses, hosts, files, numbers and so on becomes space, because nobody looks for those.
CREATE FUNCTION searchable(given text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT translate(given, '-_./\:@&+~#%=<>|*''', '                   ')
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- typos returns the word as it is, and with each of its letters missing.
CREATE FUNCTION typos(word text) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
	SELECT word UNION SELECT overlay(word placing '' from i for 1) FROM generate_series(1, length(word)) AS i
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- index_products makes the given products be found as they now are.
CREATE FUNCTION index_products(ids text[]) RETURNS void LANGUAGE sql AS $$
	DELETE FROM product_search WHERE product_id IN (SELECT id FROM product WHERE id = ANY(ids) AND state <> 'published');
	INSERT INTO product_search (product_id, category, document)
		SELECT id, category, setweight(to_tsvector('english', searchable(title)), 'A') || setweight(to_tsvector('english', searchable(category)), 'B')
			|| setweight(to_tsvector('english', searchable(description)), 'C')
		FROM product WHERE id = ANY(ids) AND state = 'published'
		ON CONFLICT (product_id) DO UPDATE SET category = excluded.category, document = excluded.document
		WHERE product_search.category <> excluded.category OR product_search.document <> excluded.document;
	WITH said AS (SELECT DISTINCT unnest(tsvector_to_array(to_tsvector('simple', searchable(title || ' ' || category)))) AS word
			FROM product WHERE id = ANY(ids) AND state = 'published'),
		fresh AS (SELECT word FROM said WHERE NOT EXISTS (SELECT FROM search_typo t WHERE t.typo = said.word AND t.word = said.word)),
		words AS (INSERT INTO search_word (word) SELECT word FROM fresh UNION SELECT unnest(ts_lexize('english_stem', word)) FROM fresh ON CONFLICT DO NOTHING)
	INSERT INTO search_typo (typo, word) SELECT typo, word FROM fresh, typos(word) AS typo WHERE length(word) BETWEEN 3 AND 40 ON CONFLICT DO NOTHING;
$$;
-- +goose StatementEnd

SELECT index_products(array_agg("id")) FROM "product" HAVING count(*) > 0;

-- +goose Down
DROP FUNCTION index_products;
DROP FUNCTION typos;
DROP FUNCTION searchable;
DROP TABLE "search_typo";
DROP TABLE "search_word";
DROP TABLE "product_search";
