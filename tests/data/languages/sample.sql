-- about
CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL
);
-- Newest first.
CREATE VIEW recent AS SELECT * FROM users ORDER BY id DESC;
CREATE INDEX users_name ON users (name);
CREATE FUNCTION add_one(a integer) RETURNS integer AS $$ SELECT a + 1; $$ LANGUAGE sql;
INSERT INTO users VALUES (1, 'Ada');
