-- The tables of version 1 on Postgres; schema-1.sql holds the rows.

CREATE TABLE audit (
	sequence INTEGER NOT NULL,
	run VARCHAR NOT NULL,
	at FLOAT NOT NULL,
	kind VARCHAR NOT NULL,
	body TEXT NOT NULL,
	previous VARCHAR NOT NULL,
	hash VARCHAR NOT NULL,
	PRIMARY KEY (sequence)
);

CREATE INDEX audit_by_run ON audit (run, sequence);

CREATE TABLE meta (
	name VARCHAR NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE runs (
	id VARCHAR NOT NULL,
	goal TEXT NOT NULL,
	inputs TEXT NOT NULL,
	team TEXT NOT NULL,
	team_name VARCHAR NOT NULL,
	options TEXT NOT NULL,
	status VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	exit_code INTEGER,
	owner VARCHAR NOT NULL,
	epoch INTEGER NOT NULL,
	stop_asked BOOLEAN NOT NULL,
	limits TEXT NOT NULL,
	tokens BIGINT NOT NULL,
	money BIGINT NOT NULL,
	money_known BOOLEAN NOT NULL,
	turns INTEGER NOT NULL,
	calls INTEGER NOT NULL,
	working_seconds FLOAT NOT NULL,
	approved_hash VARCHAR NOT NULL,
	applied_hash VARCHAR NOT NULL,
	summary TEXT NOT NULL,
	created_at FLOAT NOT NULL,
	started_at FLOAT,
	ended_at FLOAT,
	PRIMARY KEY (id)
);

CREATE INDEX runs_by_status ON runs (status, created_at);

CREATE TABLE calls (
	run VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	turn INTEGER NOT NULL,
	place INTEGER NOT NULL,
	use_id VARCHAR NOT NULL,
	tool VARCHAR NOT NULL,
	arguments TEXT NOT NULL,
	effect VARCHAR NOT NULL,
	ruling VARCHAR NOT NULL,
	rule VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	findings TEXT NOT NULL,
	state VARCHAR NOT NULL,
	result TEXT NOT NULL,
	whole_result TEXT,
	is_error BOOLEAN NOT NULL,
	review VARCHAR NOT NULL,
	epoch INTEGER NOT NULL,
	expected TEXT NOT NULL,
	started_at FLOAT,
	ended_at FLOAT,
	PRIMARY KEY (run, path, turn, place),
	FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE TABLE reviews (
	id VARCHAR NOT NULL,
	run VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	address VARCHAR NOT NULL,
	agent VARCHAR NOT NULL,
	title TEXT NOT NULL,
	subject TEXT NOT NULL,
	content_hash VARCHAR NOT NULL,
	rule VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	role VARCHAR NOT NULL,
	findings TEXT NOT NULL,
	brief TEXT,
	brief_note TEXT NOT NULL,
	allowed TEXT NOT NULL,
	state VARCHAR NOT NULL,
	decision VARCHAR NOT NULL,
	answer TEXT NOT NULL,
	edit TEXT,
	decided_by VARCHAR NOT NULL,
	opened_at FLOAT NOT NULL,
	decided_at FLOAT,
	PRIMARY KEY (id),
	FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE UNIQUE INDEX reviews_by_run ON reviews (run, number);

CREATE INDEX reviews_by_state ON reviews (state, opened_at);

CREATE TABLE spend (
	run VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	turn INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	tokens BIGINT NOT NULL,
	money BIGINT,
	PRIMARY KEY (run, path, turn, epoch),
	FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE INDEX spend_by_state ON spend (run, state);

CREATE TABLE threads (
	run VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	agent VARCHAR NOT NULL,
	task TEXT NOT NULL,
	step VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	system TEXT NOT NULL,
	tools TEXT NOT NULL,
	brief TEXT NOT NULL,
	grants TEXT NOT NULL,
	limits TEXT NOT NULL,
	state VARCHAR NOT NULL,
	handover TEXT,
	flags TEXT NOT NULL,
	hash_before VARCHAR NOT NULL,
	hash_after VARCHAR NOT NULL,
	compacted INTEGER NOT NULL,
	finish_now BOOLEAN NOT NULL,
	tokens BIGINT NOT NULL,
	money BIGINT NOT NULL,
	money_known BOOLEAN NOT NULL,
	turns INTEGER NOT NULL,
	calls INTEGER NOT NULL,
	working_seconds FLOAT NOT NULL,
	started_at FLOAT NOT NULL,
	ended_at FLOAT,
	PRIMARY KEY (run, path),
	FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE TABLE turns (
	run VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	turn INTEGER NOT NULL,
	request_hash VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	blocks TEXT NOT NULL,
	stop_reason VARCHAR NOT NULL,
	notice TEXT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cache_write_tokens BIGINT NOT NULL,
	cache_read_tokens BIGINT NOT NULL,
	money BIGINT,
	seconds FLOAT NOT NULL,
	ended_at FLOAT NOT NULL,
	PRIMARY KEY (run, path, turn),
	FOREIGN KEY(run) REFERENCES runs (id)
);
