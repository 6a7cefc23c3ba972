BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE answers (
	owner TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	status_code INTEGER, 
	body JSON, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (owner, "key")
);
CREATE TABLE api_keys (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_used_at BIGINT, 
	revoked_at BIGINT, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT uq_api_keys_hash UNIQUE (hash)
);
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('c5f2dcaa-8cd9-45fd-a5a9-109bed7f61fd','1',1795836074000,1795836074000,'anabranch');
CREATE TABLE apps (
	id TEXT NOT NULL, 
	url TEXT NOT NULL, 
	sdk TEXT, 
	framework TEXT, 
	functions JSON NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_apps PRIMARY KEY (id)
);
CREATE TABLE attempts (
	task_id TEXT NOT NULL, 
	piece TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	progress FLOAT NOT NULL, 
	speed FLOAT, 
	result JSON, 
	error JSON, 
	started_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_attempts PRIMARY KEY (task_id, piece, attempt), 
	CONSTRAINT fk_attempts_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "attempts" VALUES('task_01m8g2qpq461vnona1ab16bidm','audio',1,'running',0.0,NULL,NULL,NULL,1795836077080,NULL);
INSERT INTO "attempts" VALUES('task_01m8g2qpq461vnona1ab16bidm','chunk-0001',1,'running',0.0,NULL,NULL,NULL,1795836077092,NULL);
CREATE TABLE changes (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	media_id TEXT, 
	task_id TEXT, 
	data JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT uq_changes_id UNIQUE (id)
);
INSERT INTO "changes" VALUES(1,'evt_01m8g2qq34f2h98twnhk4a1bez','media.created','media_e0bf639dfc8ec5ff55e22d9439',NULL,'{"id": "media_e0bf639dfc8ec5ff55e22d9439", "object": "media", "status": "processing", "playable": false, "percent": 0.0, "title": null, "alt": null, "metadata": {}, "private": false, "hlsUrl": null, "posterUrl": null, "gifUrl": null, "transcriptionUrl": null, "sourceUrl": "{SOURCE}", "durationS": null, "width": null, "height": null, "sizeBytes": null, "renditions": [], "branches": [], "error": null, "createdAt": 1795836075025, "updatedAt": 1795836075025}',1795836075108);
INSERT INTO "changes" VALUES(2,'evt_01m8g2qq3jer3af9t6a02882de','task.created','media_e0bf639dfc8ec5ff55e22d9439','task_01m8g2qpq461vnona1ab16bidm','{"id": "task_01m8g2qpq461vnona1ab16bidm", "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "ref": "hls-package", "kind": "adaptive_video", "input": "{SOURCE}", "options": {"format": "hls"}, "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795836075024, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2qpxgf919m8bknntvw6x1"}',1795836075122);
INSERT INTO "changes" VALUES(3,'evt_01m8g2qq4me3pagz526tn1wn69','task.created','media_e0bf639dfc8ec5ff55e22d9439','task_01m8g2qpq4lmoolbpph38na64o','{"id": "task_01m8g2qpq4lmoolbpph38na64o", "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "ref": "poster-image", "kind": "image", "input": "{SOURCE}", "options": {"start": 2, "width": 1280, "format": "webp"}, "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795836075128, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2qpxte4ha4n3h2shfrzp8"}',1795836075156);
INSERT INTO "changes" VALUES(4,'evt_01m8g2qq53fagrxk0rb3rb7fxs','task.created','media_e0bf639dfc8ec5ff55e22d9439','task_01m8g2qpq4721g760vv8jpcfap','{"id": "task_01m8g2qpq4721g760vv8jpcfap", "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "ref": "audio-transcription", "kind": "audio", "input": "{SOURCE}", "options": {"format": "json", "language": "en"}, "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795836075128, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2qpxxf9f8r9bt2vp7bzn4"}',1795836075171);
INSERT INTO "changes" VALUES(5,'evt_01m8g2qq8re4nr6me4y8hsvqdd','task.created','media_e0bf639dfc8ec5ff55e22d9439','task_01m8g2qpq49ttk4f81mgkecl22','{"id": "task_01m8g2qpq49ttk4f81mgkecl22", "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "ref": "gif-preview", "kind": "video", "input": "{SOURCE}", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795836075200, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2qpxrf23spre5h5spvyce"}',1795836075288);
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE deliveries (
	id TEXT NOT NULL, 
	change_id TEXT NOT NULL, 
	endpoint_id TEXT, 
	url TEXT NOT NULL, 
	status TEXT NOT NULL, 
	handed_over_at BIGINT, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id)
);
CREATE TABLE delivery_attempts (
	delivery_id TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	status_code INTEGER, 
	answer TEXT, 
	error TEXT, 
	took_ms INTEGER NOT NULL, 
	started_at BIGINT NOT NULL, 
	CONSTRAINT pk_delivery_attempts PRIMARY KEY (delivery_id, attempt), 
	CONSTRAINT fk_delivery_attempts_delivery_id_deliveries FOREIGN KEY(delivery_id) REFERENCES deliveries (id) ON DELETE CASCADE
);
CREATE TABLE endpoints (
	id TEXT NOT NULL, 
	url TEXT NOT NULL, 
	topics JSON NOT NULL, 
	secret TEXT NOT NULL, 
	status TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_endpoints PRIMARY KEY (id)
);
CREATE TABLE events (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	data JSON NOT NULL, 
	user JSON, 
	v TEXT, 
	ts BIGINT NOT NULL, 
	received_at BIGINT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id)
);
INSERT INTO "events" VALUES('media_e0bf639dfc8ec5ff55e22d9439.uploaded','video/uploaded','{"mediaId": "media_e0bf639dfc8ec5ff55e22d9439", "sourceUrl": "{SOURCE}"}',NULL,NULL,1795836074717,1795836074718);
INSERT INTO "events" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt.49b8afc35da4245710dc756f82d3e19c32e7370b','inngest/function.invoked','{"id": "task_01m8g2qpq461vnona1ab16bidm", "input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "hls-package"}',NULL,NULL,1795836074927,1795836074927);
INSERT INTO "events" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','inngest/function.invoked','{"id": "task_01m8g2qpq49ttk4f81mgkecl22", "input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "gif-preview"}',NULL,NULL,1795836074931,1795836074931);
INSERT INTO "events" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt.3e83decf9aa6ec824950785e5667ed8a5884dcdf','inngest/function.invoked','{"id": "task_01m8g2qpq4lmoolbpph38na64o", "input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "poster-image"}',NULL,NULL,1795836074928,1795836074928);
INSERT INTO "events" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt.35dd97d712b491a9ebc7e64e36b039121c37d0b1','inngest/function.invoked','{"id": "task_01m8g2qpq4721g760vv8jpcfap", "input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "audio-transcription"}',NULL,NULL,1795836074932,1795836074933);
CREATE TABLE files (
	id TEXT NOT NULL, 
	media_id TEXT, 
	task_id TEXT, 
	object TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	type TEXT NOT NULL, 
	status TEXT NOT NULL, 
	"key" TEXT, 
	filesize BIGINT, 
	facts JSON NOT NULL, 
	ref TEXT, 
	folder TEXT, 
	filename TEXT, 
	metadata JSON NOT NULL, 
	original TEXT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_files PRIMARY KEY (id)
);
CREATE TABLE media (
	id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	source_url TEXT NOT NULL, 
	duration_s FLOAT, 
	width INTEGER, 
	height INTEGER, 
	size_bytes BIGINT, 
	hls_url TEXT, 
	poster_url TEXT, 
	gif_url TEXT, 
	transcription_url TEXT, 
	renditions JSON NOT NULL, 
	error JSON, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, title TEXT, alt TEXT, metadata JSON DEFAULT '{}' NOT NULL, private BOOLEAN DEFAULT 0 NOT NULL, progress FLOAT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_media PRIMARY KEY (id)
);
INSERT INTO "media" VALUES('media_e0bf639dfc8ec5ff55e22d9439','processing','{SOURCE}',14.0,320,240,1443514,NULL,NULL,NULL,NULL,'[]',NULL,1795836075025,1795836076921,NULL,NULL,'{}',0,0.0);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
CREATE TABLE run_events (
	run_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	event_id TEXT NOT NULL, 
	CONSTRAINT pk_run_events PRIMARY KEY (run_id, position), 
	CONSTRAINT fk_run_events_event_id_events FOREIGN KEY(event_id) REFERENCES events (id), 
	CONSTRAINT fk_run_events_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE run_keys (
	run_id TEXT NOT NULL, 
	control TEXT NOT NULL, 
	function_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_run_keys PRIMARY KEY (run_id, control), 
	CONSTRAINT fk_run_keys_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE runs (
	id TEXT NOT NULL, 
	event_id TEXT NOT NULL, 
	function_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	output JSON, 
	error JSON, 
	parent_run_id TEXT, 
	parent_step_id TEXT, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, original_run_id TEXT, due_at BIGINT, rank BIGINT, started_at BIGINT, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_event_id_events FOREIGN KEY(event_id) REFERENCES events (id)
);
INSERT INTO "runs" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','media_e0bf639dfc8ec5ff55e22d9439.uploaded','anabranch-fanout-adaptive-streaming','running',NULL,NULL,NULL,NULL,1795836074724,NULL,NULL,NULL,1795836074724,1795836074724);
INSERT INTO "runs" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','run_01m8g2qpq4f5avbzjegknh9xzt.49b8afc35da4245710dc756f82d3e19c32e7370b','anabranch-process-task','running',NULL,NULL,'run_01m8g2qpq4f5avbzjegknh9xzt','49b8afc35da4245710dc756f82d3e19c32e7370b',1795836074928,NULL,NULL,NULL,1795836074928,1795836074928);
INSERT INTO "runs" VALUES('run_01m8g2qpxrf23spre5h5spvyce','run_01m8g2qpq4f5avbzjegknh9xzt.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','anabranch-process-task','running',NULL,NULL,'run_01m8g2qpq4f5avbzjegknh9xzt','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74',1795836074936,NULL,NULL,NULL,1795836074936,1795836074936);
INSERT INTO "runs" VALUES('run_01m8g2qpxte4ha4n3h2shfrzp8','run_01m8g2qpq4f5avbzjegknh9xzt.3e83decf9aa6ec824950785e5667ed8a5884dcdf','anabranch-process-task','running',NULL,NULL,'run_01m8g2qpq4f5avbzjegknh9xzt','3e83decf9aa6ec824950785e5667ed8a5884dcdf',1795836074938,NULL,NULL,NULL,1795836074938,1795836074938);
INSERT INTO "runs" VALUES('run_01m8g2qpxxf9f8r9bt2vp7bzn4','run_01m8g2qpq4f5avbzjegknh9xzt.35dd97d712b491a9ebc7e64e36b039121c37d0b1','anabranch-process-task','running',NULL,NULL,'run_01m8g2qpq4f5avbzjegknh9xzt','35dd97d712b491a9ebc7e64e36b039121c37d0b1',1795836074941,NULL,NULL,NULL,1795836074941,1795836074941);
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
CREATE TABLE steps (
	run_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	op TEXT NOT NULL, 
	status TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	opts JSON, 
	due_at BIGINT, 
	result JSON, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_steps PRIMARY KEY (run_id, id), 
	CONSTRAINT fk_steps_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','49b8afc35da4245710dc756f82d3e19c32e7370b','hls-package','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2qpq461vnona1ab16bidm", "input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "hls-package"}, "v": null}, "timeout": null}',NULL,NULL,1795836074856,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','3e83decf9aa6ec824950785e5667ed8a5884dcdf','poster-image','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2qpq4lmoolbpph38na64o", "input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "poster-image"}, "v": null}, "timeout": null}',NULL,NULL,1795836074856,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','gif-preview','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2qpq49ttk4f81mgkecl22", "input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "gif-preview"}, "v": null}, "timeout": null}',NULL,NULL,1795836074856,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','35dd97d712b491a9ebc7e64e36b039121c37d0b1','audio-transcription','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2qpq4721g760vv8jpcfap", "input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "media_id": "media_e0bf639dfc8ec5ff55e22d9439", "metadata": {"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}, "ref": "audio-transcription"}, "v": null}, "timeout": null}',NULL,NULL,1795836074856,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "audio", "arguments": {}, "weight": 28.0, "slot": "cpu", "urgent": false, "position_s": 0.0}, {"name": "chunk-0000", "arguments": {"number": 0, "start": 0, "end": 50, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}]}, "weight": 50.0, "slot": "cpu", "urgent": false, "position_s": 0.0}, {"name": "chunk-0001", "arguments": {"number": 1, "start": 50, "end": 250, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}]}, "weight": 200.0, "slot": "cpu", "urgent": false, "position_s": 2.0}, {"name": "chunk-0002", "arguments": {"number": 2, "start": 250, "end": 350, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}]}, "weight": 100.0, "slot": "cpu", "urgent": false, "position_s": 10.0}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836074963,1795836076922);
INSERT INTO "steps" VALUES('run_01m8g2qpxte4ha4n3h2shfrzp8','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "arguments": {}, "weight": 1.0, "slot": "cpu", "urgent": true, "position_s": 0.0}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836075052,1795836076935);
INSERT INTO "steps" VALUES('run_01m8g2qpxxf9f8r9bt2vp7bzn4','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "transcribe", "arguments": {}, "weight": 14.0, "slot": "speech", "urgent": false, "position_s": 0.0}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836075053,1795836076920);
INSERT INTO "steps" VALUES('run_01m8g2qpxrf23spre5h5spvyce','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "arguments": {}, "weight": 3.0, "slot": "cpu", "urgent": true, "position_s": 0.0}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836075152,1795836076936);
INSERT INTO "steps" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','a06a492959ce12b3f0292406ec84177d07ae19b1','audio','StepRun','pending',0,'{}',NULL,NULL,1795836076936,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','8ff9c48e7baa93413ab1ef281f64bf8ad3887322','chunk-0000','StepRun','pending',0,'{}',NULL,NULL,1795836076936,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','7e58f81a919ac442b4b25e607d9b372c6611ef3c','chunk-0001','StepRun','pending',0,'{}',NULL,NULL,1795836076936,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','18598239e4a7527b075158db7ed3481c6c73c58b','chunk-0002','StepRun','pending',0,'{}',NULL,NULL,1795836076936,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxxf9f8r9bt2vp7bzn4','4025a47e7364d273eb3954257dd89d8803b93e67','transcribe','StepRun','pending',0,'{}',NULL,NULL,1795836076937,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxte4ha4n3h2shfrzp8','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795836077066,NULL);
INSERT INTO "steps" VALUES('run_01m8g2qpxrf23spre5h5spvyce','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795836077071,NULL);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE tasks (
	id TEXT NOT NULL, 
	media_id TEXT, 
	ref TEXT, 
	kind TEXT NOT NULL, 
	input TEXT NOT NULL, 
	options JSON NOT NULL, 
	metadata JSON NOT NULL, 
	status TEXT NOT NULL, 
	progress FLOAT NOT NULL, 
	pieces JSON, 
	output JSON, 
	error JSON, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	finished_at BIGINT, 
	updated_at BIGINT NOT NULL, webhook_url TEXT, run_id TEXT, 
	CONSTRAINT pk_tasks PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES('task_01m8g2qpq461vnona1ab16bidm','media_e0bf639dfc8ec5ff55e22d9439','hls-package','adaptive_video','{SOURCE}','{"format": "hls"}','{"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}','processing',0.0,'[{"name": "audio", "weight": 28.0}, {"name": "chunk-0000", "weight": 50.0}, {"name": "chunk-0001", "weight": 200.0}, {"name": "chunk-0002", "weight": 100.0}]',NULL,NULL,1795836075024,1795836075152,NULL,1795836076864,NULL,'run_01m8g2qpxgf919m8bknntvw6x1');
INSERT INTO "tasks" VALUES('task_01m8g2qpq4lmoolbpph38na64o','media_e0bf639dfc8ec5ff55e22d9439','poster-image','image','{SOURCE}','{"start": 2, "width": 1280, "format": "webp"}','{"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}','processing',0.0,'[{"name": "render", "weight": 1.0}]',NULL,NULL,1795836075128,1795836075157,NULL,1795836076906,NULL,'run_01m8g2qpxte4ha4n3h2shfrzp8');
INSERT INTO "tasks" VALUES('task_01m8g2qpq4721g760vv8jpcfap','media_e0bf639dfc8ec5ff55e22d9439','audio-transcription','audio','{SOURCE}','{"format": "json", "language": "en"}','{"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}','processing',0.0,'[{"name": "transcribe", "weight": 14.0}]',NULL,NULL,1795836075128,1795836075172,NULL,1795836076904,NULL,'run_01m8g2qpxxf9f8r9bt2vp7bzn4');
INSERT INTO "tasks" VALUES('task_01m8g2qpq49ttk4f81mgkecl22','media_e0bf639dfc8ec5ff55e22d9439','gif-preview','video','{SOURCE}','{"start": 1, "end": 4, "width": 480, "format": "gif"}','{"mediaId": "media_e0bf639dfc8ec5ff55e22d9439"}','processing',0.0,'[{"name": "render", "weight": 3.0}]',NULL,NULL,1795836075200,1795836075289,NULL,1795836076906,NULL,'run_01m8g2qpxrf23spre5h5spvyce');
CREATE TABLE transcripts (
	id INTEGER NOT NULL, 
	task_id TEXT NOT NULL, 
	media_id TEXT, 
	language TEXT, 
	text TEXT NOT NULL, 
	segments JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_transcripts PRIMARY KEY (id), 
	CONSTRAINT uq_transcripts_task_id UNIQUE (task_id)
);
PRAGMA writable_schema=ON;
INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES('table','transcripts_fts','transcripts_fts',0,'CREATE VIRTUAL TABLE transcripts_fts USING fts5(
      text, content=''transcripts'', content_rowid=''id'', tokenize=''unicode61 remove_diacritics 2'', prefix=''1 2 3 4 5 6 7''
    )');
CREATE TABLE 'transcripts_fts_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "transcripts_fts_config" VALUES('version',4);
CREATE TABLE 'transcripts_fts_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO "transcripts_fts_data" VALUES(1,X'');
INSERT INTO "transcripts_fts_data" VALUES(10,X'00000000000000');
CREATE TABLE 'transcripts_fts_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'transcripts_fts_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE uploads (
	id TEXT NOT NULL, 
	media_id TEXT NOT NULL, 
	size_bytes BIGINT, 
	metadata JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	CONSTRAINT pk_uploads PRIMARY KEY (id)
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycXBxNGY1YXZiemplZ2tuaDl4enSUhZSMBmt3YXJnc5R9lHUu',1795836074000);
INSERT INTO "workflow_input" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycXB4Z2Y5MTltOGJrbm50dnc2eDGUhZSMBmt3YXJnc5R9lHUu',1795836074000);
INSERT INTO "workflow_input" VALUES('run_01m8g2qpxte4ha4n3h2shfrzp8','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycXB4dGU0aGE0bjNoMnNoZnJ6cDiUhZSMBmt3YXJnc5R9lHUu',1795836074000);
INSERT INTO "workflow_input" VALUES('run_01m8g2qpxxf9f8r9bt2vp7bzn4','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycXB4eGY5ZjhyOWJ0MnZwN2J6bjSUhZSMBmt3YXJnc5R9lHUu',1795836074000);
INSERT INTO "workflow_input" VALUES('run_01m8g2qpxrf23spre5h5spvyce','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycXB4cmYyM3NwcmU1aDVzcHZ5Y2WUhZSMBmt3YXJnc5R9lHUu',1795836074000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('run_01m8g2qpq4f5avbzjegknh9xzt','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836074000,1795836074000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'94b1b181-76e9-448c-bdda-30cc691d6ec8',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','94b1b181-76e9-448c-bdda-30cc691d6ec8');
INSERT INTO "workflow_status" VALUES('run_01m8g2qpxgf919m8bknntvw6x1','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836074000,1795836074000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'57d17484-a79f-4393-b7d8-27c89bd0a493',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','57d17484-a79f-4393-b7d8-27c89bd0a493');
INSERT INTO "workflow_status" VALUES('run_01m8g2qpxte4ha4n3h2shfrzp8','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836074000,1795836074000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'2f36512a-a85a-431e-9d4a-b24b7f1290ae',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','2f36512a-a85a-431e-9d4a-b24b7f1290ae');
INSERT INTO "workflow_status" VALUES('run_01m8g2qpxxf9f8r9bt2vp7bzn4','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836074000,1795836074000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'2e117ead-2e61-4c55-94c2-2eb2376dc78f',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','2e117ead-2e61-4c55-94c2-2eb2376dc78f');
INSERT INTO "workflow_status" VALUES('run_01m8g2qpxrf23spre5h5spvyce','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836074000,1795836074000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'56113c33-0248-4e57-8548-766d98dc107e',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','56113c33-0248-4e57-8548-766d98dc107e');
CREATE INDEX ix_tasks_input ON tasks (input);
CREATE INDEX ix_tasks_media_id ON tasks (media_id);
CREATE INDEX ix_events_name ON events (name);
CREATE INDEX ix_runs_event_id ON runs (event_id);
CREATE INDEX ix_runs_function_id ON runs (function_id);
CREATE INDEX ix_steps_waiting ON steps (name) WHERE op = 'WaitForEvent' AND status = 'pending';
CREATE INDEX ix_changes_media_id ON changes (media_id);
CREATE INDEX ix_deliveries_change_id ON deliveries (change_id);
CREATE INDEX ix_deliveries_endpoint_id ON deliveries (endpoint_id);
CREATE INDEX ix_deliveries_not_handed_over ON deliveries (id) WHERE handed_over_at IS NULL;
CREATE INDEX ix_files_key ON files ("key");
CREATE INDEX ix_files_media_id ON files (media_id);
CREATE INDEX ix_files_task_id ON files (task_id);
CREATE INDEX ix_transcripts_media_id ON transcripts (media_id);
CREATE TRIGGER transcripts_added AFTER INSERT ON transcripts BEGIN
      INSERT INTO transcripts_fts(rowid, text) VALUES (new.id, new.text);
    END;
CREATE TRIGGER transcripts_removed AFTER DELETE ON transcripts BEGIN
      INSERT INTO transcripts_fts(transcripts_fts, rowid, text) VALUES ('delete', old.id, old.text);
    END;
CREATE INDEX ix_run_events_event_id ON run_events (event_id);
CREATE INDEX ix_run_keys_control ON run_keys (function_id, control, "key", at);
CREATE INDEX ix_runs_open ON runs (function_id) WHERE ended_at IS NULL;
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
PRAGMA writable_schema=OFF;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('changes',5);
COMMIT;
