// Package db gives each module a PostgreSQL schema of its own, and the means to use it.
//
// A module has a login role, cleave_<module>, that can read and write the tables of its schema and nothing else, and an owner role,
// cleave_<module>_owner, that holds the tables and runs the migrations and that nobody can log in as. There is no SET ROLE at run
// time, so RESET ROLE undoes nothing. What a module may touch is decided by the database, also when modules share a server, a
// database and a process.
//
// [Open] creates roles and schema where they are missing and migrates, under one lock per module, so that replicas can start at
// once. A [Store] opens the transactions of use cases: rows through ent, jobs through River and everything else through pgx commit
// together. It waits for the server as seldom as it can: see [DB.Tx] and [Defer].
package db
