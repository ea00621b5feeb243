BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE disabled_webhooks (
	account TEXT NOT NULL, 
	url TEXT NOT NULL, 
	disabled_at_us BIGINT NOT NULL, 
	PRIMARY KEY (account, url)
)
 WITHOUT ROWID

;
INSERT INTO "disabled_webhooks" VALUES('bob','https://gone.test/',1795177800000000);
CREATE TABLE idempotency_keys (
	account TEXT NOT NULL, 
	route TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	created_at_us BIGINT NOT NULL, 
	PRIMARY KEY (account, route, "key")
)
 WITHOUT ROWID

;
INSERT INTO "idempotency_keys" VALUES('bob','create','key-1','f','music_done',1795177800000000);
CREATE TABLE job_events (
	job_id TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (job_id, number)
)
 WITHOUT ROWID

;
INSERT INTO "job_events" VALUES('music_done',1,'{"kind":"state","at":"2026-11-20T12:30:00+00:00","data":{"from":"queued","to":"in_progress"}}');
INSERT INTO "job_events" VALUES('music_done',2,'{"kind":"state","at":"2026-11-20T12:30:00+00:00","data":{"from":"queued","to":"in_progress"}}');
INSERT INTO "job_events" VALUES('music_open',1,'{"kind":"state","at":"2026-11-20T12:30:00+00:00","data":{"from":"queued","to":"in_progress"}}');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	state TEXT NOT NULL, 
	plugin TEXT, 
	native_id TEXT, 
	model TEXT NOT NULL, 
	created_at_us BIGINT NOT NULL, 
	updated_at_us BIGINT NOT NULL, 
	finished_at_us BIGINT, 
	price_usd_nanos BIGINT, 
	version BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('music_open','alice','in_progress','suno_kie','native-1','suno/v4',1795177800000000,1795177800000000,NULL,NULL,0,'{"id":"music_open","account":"alice","generation_id":"G-1","request":{"model":"suno/v4","prompt":"Warm jazz trio","metadata":{"a":"\u00fc"}},"state":"in_progress","created_at":"2026-11-20T12:30:00+00:00","updated_at":"2026-11-20T12:30:00+00:00","deadline_at":"2026-11-20T12:50:00+00:00","callback_token":"token-not-real-1","attempts":[{"plugin":"suno_kie","provider":"suno","model":"suno/v4","native_model":"V4","outcome":"accepted","planned_at":"2026-11-20T12:30:00+00:00","native_id":"native-1"}]}');
INSERT INTO "jobs" VALUES('music_done','bob','completed','suno_kie','native-1','suno/v4',1795177800000000,1795177800000000,1795177890000000,60000000,1,'{"id":"music_done","account":"bob","generation_id":"G-2","request":{"model":"suno/v4","prompt":"Warm jazz trio","metadata":{"a":"\u00fc"}},"state":"completed","created_at":"2026-11-20T12:30:00+00:00","updated_at":"2026-11-20T12:30:00+00:00","deadline_at":"2026-11-20T12:50:00+00:00","callback_token":"token-not-real-2","version":1,"completed_at":"2026-11-20T12:31:30+00:00","attempts":[{"plugin":"suno_kie","provider":"suno","model":"suno/v4","native_model":"V4","outcome":"accepted","planned_at":"2026-11-20T12:30:00+00:00","native_id":"native-1"}],"usage":{"lines":[{"meter":"requests","quantity":"1","unit_size":"1","price_per_unit_usd":"0.06","price_usd_nanos":60000000}]}}');
CREATE TABLE store_check (
	id INTEGER NOT NULL, 
	padding BLOB NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE webhook_deliveries (
	id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	next_try_at_us BIGINT, 
	version BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "webhook_deliveries" VALUES('msg_1','music_done','https://hooks.test:443',1795177895000000,0,'{"id":"msg_1","job_id":"music_done","account":"bob","url":"https://hooks.test/a","type":"music.completed","created_at":"2026-11-20T12:30:00+00:00","next_try_at":"2026-11-20T12:31:35+00:00"}');
CREATE INDEX jobs_open ON jobs (id, state) WHERE state IN ('queued', 'in_progress');
CREATE INDEX jobs_native ON jobs (account, native_id, created_at_us, id);
CREATE INDEX jobs_listed ON jobs (account, created_at_us, id);
CREATE INDEX jobs_open_of ON jobs (account, state) WHERE state IN ('queued', 'in_progress');
CREATE INDEX jobs_spent ON jobs (account, finished_at_us, price_usd_nanos);
CREATE INDEX jobs_finished ON jobs (finished_at_us, id);
CREATE INDEX idempotency_keys_of ON idempotency_keys (job_id);
CREATE INDEX idempotency_keys_old ON idempotency_keys (created_at_us);
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (job_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_try_at_us, id, origin) WHERE next_try_at_us IS NOT NULL;
COMMIT;
