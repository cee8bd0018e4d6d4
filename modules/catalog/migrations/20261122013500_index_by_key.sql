-- index_products as it was, but for this: the products are looked up one by one. It is called for each batch of an import, while the statistics
-- that a plan is made from are from before the import. LATERAL and OFFSET keep PostgreSQL from reading all products for a few.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION index_products(ids text[]) RETURNS void LANGUAGE sql AS $$
	DELETE FROM product_search USING (SELECT found.id FROM unnest(ids) AS given (id), LATERAL (SELECT id FROM product WHERE product.id = given.id AND state <> 'published' OFFSET 0) AS found OFFSET 0) AS hidden
		WHERE product_search.product_id = hidden.id;
	INSERT INTO product_search (product_id, category, document)
		SELECT found.id, category, setweight(to_tsvector('english', searchable(title)), 'A') || setweight(to_tsvector('english', searchable(category)), 'B')
			|| setweight(to_tsvector('english', searchable(description)), 'C')
		FROM unnest(ids) AS given (id), LATERAL (SELECT * FROM product WHERE product.id = given.id AND state = 'published' OFFSET 0) AS found
		ON CONFLICT (product_id) DO UPDATE SET category = excluded.category, document = excluded.document
		WHERE product_search.category <> excluded.category OR product_search.document <> excluded.document;
	WITH said AS (SELECT DISTINCT unnest(tsvector_to_array(to_tsvector('simple', searchable(title || ' ' || category)))) AS word
			FROM unnest(ids) AS given (id), LATERAL (SELECT * FROM product WHERE product.id = given.id AND state = 'published' OFFSET 0) AS found),
		fresh AS (SELECT word FROM said WHERE NOT EXISTS (SELECT FROM search_typo t WHERE t.typo = said.word AND t.word = said.word OFFSET 0)),
		words AS (INSERT INTO search_word (word) SELECT word FROM fresh UNION SELECT unnest(ts_lexize('english_stem', word)) FROM fresh ON CONFLICT DO NOTHING)
	INSERT INTO search_typo (typo, word) SELECT typo, word FROM fresh, typos(word) AS typo WHERE length(word) BETWEEN 3 AND 40 ON CONFLICT DO NOTHING;
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION index_products(ids text[]) RETURNS void LANGUAGE sql AS $$
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
