BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
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
INSERT INTO "application_versions" VALUES('31719bcd-cdd9-48c7-930f-ed3f71e2cc9b','1',1795835968000,1795835968000,'anabranch');
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
	ended_at BIGINT, command TEXT, log TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (task_id, piece, attempt), 
	CONSTRAINT fk_attempts_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "attempts" VALUES('task_01m8g2mfen4t2470bv28d3r69h','chunk-0000',1,'running',0.0,NULL,NULL,NULL,1795835970167,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('task_01m8g2mfen4t2470bv28d3r69h','audio',1,'running',0.0,NULL,NULL,NULL,1795835970170,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('task_01m8g2mfeng6pjgshmjuh7viqp','render',1,'running',0.0,NULL,NULL,NULL,1795835970171,NULL,NULL,NULL);
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
INSERT INTO "changes" VALUES(1,'evt_01m8g2mfm8fhhs6twh0s9m4s9v','media.created','media_a240b5940e69fcf671e810e40a',NULL,'{"id": "media_a240b5940e69fcf671e810e40a", "object": "media", "status": "processing", "playable": false, "percent": 0.0, "title": null, "alt": null, "metadata": {}, "private": false, "hlsUrl": null, "dashUrl": null, "posterUrl": null, "gifUrl": null, "transcriptionUrl": null, "captionsUrl": null, "storyboardUrl": null, "sourceUrl": "{SOURCE}", "durationS": null, "width": null, "height": null, "sizeBytes": null, "renditions": [], "branches": [], "error": null, "createdAt": 1795835969126, "updatedAt": 1795835969126}',1795835969160);
INSERT INTO "changes" VALUES(2,'evt_01m8g2mfmees5rhbwwpjd1558w','task.created','media_a240b5940e69fcf671e810e40a','task_01m8g2mfenlg4ngief04a7qd4f','{"id": "task_01m8g2mfenlg4ngief04a7qd4f", "media_id": "media_a240b5940e69fcf671e810e40a", "ref": "gif-preview", "kind": "video", "input": "{SOURCE}", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835969124, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2mfj2f37s7kswdk3w7d6b"}',1795835969166);
INSERT INTO "changes" VALUES(3,'evt_01m8g2mfnffj39dwpzjsdqfpbb','task.created','media_a240b5940e69fcf671e810e40a','task_01m8g2mfend6f93nana38nm0b3','{"id": "task_01m8g2mfend6f93nana38nm0b3", "media_id": "media_a240b5940e69fcf671e810e40a", "ref": "audio-transcription", "kind": "audio", "input": "{SOURCE}", "options": {"format": "json", "language": "en"}, "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835969181, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2mfjefe78czb12pgr49sn"}',1795835969199);
INSERT INTO "changes" VALUES(4,'evt_01m8g2mfnmffdrwz938hzbpq8e','task.created','media_a240b5940e69fcf671e810e40a','task_01m8g2mfeng6pjgshmjuh7viqp','{"id": "task_01m8g2mfeng6pjgshmjuh7viqp", "media_id": "media_a240b5940e69fcf671e810e40a", "ref": "poster-image", "kind": "image", "input": "{SOURCE}", "options": {"start": 2, "width": 1280, "format": "webp"}, "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835969198, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2mfkdf298efh1g6jgfkrp"}',1795835969204);
INSERT INTO "changes" VALUES(5,'evt_01m8g2mfr4fvganyetya034yyw','task.created','media_a240b5940e69fcf671e810e40a','task_01m8g2mfen4t2470bv28d3r69h','{"id": "task_01m8g2mfen4t2470bv28d3r69h", "media_id": "media_a240b5940e69fcf671e810e40a", "ref": "hls-package", "kind": "adaptive_video", "input": "{SOURCE}", "options": {"format": "hls"}, "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835969279, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g2mfk4e3vtpfwsxssbrhmq"}',1795835969284);
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
INSERT INTO "events" VALUES('media_a240b5940e69fcf671e810e40a.uploaded','video/uploaded','{"mediaId": "media_a240b5940e69fcf671e810e40a", "sourceUrl": "{SOURCE}"}',NULL,NULL,1795835968977,1795835968977);
INSERT INTO "events" VALUES('run_01m8g2mfene99b3pvge9z8cgct.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','inngest/function.invoked','{"id": "task_01m8g2mfenlg4ngief04a7qd4f", "input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "gif-preview"}',NULL,NULL,1795835969089,1795835969089);
INSERT INTO "events" VALUES('run_01m8g2mfene99b3pvge9z8cgct.35dd97d712b491a9ebc7e64e36b039121c37d0b1','inngest/function.invoked','{"id": "task_01m8g2mfend6f93nana38nm0b3", "input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "audio-transcription"}',NULL,NULL,1795835969091,1795835969101);
INSERT INTO "events" VALUES('run_01m8g2mfene99b3pvge9z8cgct.49b8afc35da4245710dc756f82d3e19c32e7370b','inngest/function.invoked','{"id": "task_01m8g2mfen4t2470bv28d3r69h", "input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "hls-package"}',NULL,NULL,1795835969088,1795835969088);
INSERT INTO "events" VALUES('run_01m8g2mfene99b3pvge9z8cgct.3e83decf9aa6ec824950785e5667ed8a5884dcdf','inngest/function.invoked','{"id": "task_01m8g2mfeng6pjgshmjuh7viqp", "input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "poster-image"}',NULL,NULL,1795835969089,1795835969089);
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
INSERT INTO "media" VALUES('media_a240b5940e69fcf671e810e40a','processing','{SOURCE}',14.0,320,240,1443514,NULL,NULL,NULL,NULL,'[]',NULL,1795835969126,1795835970108,NULL,NULL,'{}',0,0.0);
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
CREATE TABLE plans (
	task_id TEXT NOT NULL, 
	pieces JSON NOT NULL, 
	probe JSON NOT NULL, 
	CONSTRAINT pk_plans PRIMARY KEY (task_id), 
	CONSTRAINT fk_plans_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "plans" VALUES('task_01m8g2mfenlg4ngief04a7qd4f','[{"name": "render", "arguments": {}, "weight": 3.0, "slot": "cpu", "urgent": true, "position_s": 0.0, "optional": false}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
INSERT INTO "plans" VALUES('task_01m8g2mfeng6pjgshmjuh7viqp','[{"name": "render", "arguments": {}, "weight": 1.0, "slot": "cpu", "urgent": true, "position_s": 0.0, "optional": false}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
INSERT INTO "plans" VALUES('task_01m8g2mfend6f93nana38nm0b3','[{"name": "transcribe", "arguments": {}, "weight": 14.0, "slot": "speech", "urgent": false, "position_s": 2.0, "optional": false}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
INSERT INTO "plans" VALUES('task_01m8g2mfen4t2470bv28d3r69h','[{"name": "chunk-0000", "arguments": {"number": 0, "chunk": {"start": 0, "end": 50, "keys": [0], "segments": [0]}, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}], "target_s": 6.0}, "weight": 50.0, "slot": "rungs", "urgent": false, "position_s": 0.0, "optional": false}, {"name": "audio", "arguments": {"track": 0}, "weight": 28.0, "slot": "cpu", "urgent": false, "position_s": 0.0, "optional": false}, {"name": "chunk-0001", "arguments": {"number": 1, "chunk": {"start": 50, "end": 200, "keys": [50, 100, 150], "segments": [50]}, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}], "target_s": 6.0}, "weight": 150.0, "slot": "rungs", "urgent": false, "position_s": 2.0, "optional": false}, {"name": "chunk-0002", "arguments": {"number": 2, "chunk": {"start": 200, "end": 350, "keys": [200, 250, 300], "segments": [200]}, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}], "target_s": 6.0}, "weight": 150.0, "slot": "rungs", "urgent": false, "position_s": 8.0, "optional": false}, {"name": "storyboard", "arguments": {}, "weight": 14.0, "slot": "cpu", "urgent": false, "position_s": 14.0, "optional": true}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
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
INSERT INTO "runs" VALUES('run_01m8g2mfene99b3pvge9z8cgct','media_a240b5940e69fcf671e810e40a.uploaded','anabranch-fanout-adaptive-streaming','running',NULL,NULL,NULL,NULL,1795835968981,NULL,NULL,NULL,1795835968981,1795835968981);
INSERT INTO "runs" VALUES('run_01m8g2mfj2f37s7kswdk3w7d6b','run_01m8g2mfene99b3pvge9z8cgct.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','anabranch-process-task','running',NULL,NULL,'run_01m8g2mfene99b3pvge9z8cgct','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74',1795835969090,NULL,NULL,NULL,1795835969090,1795835969090);
INSERT INTO "runs" VALUES('run_01m8g2mfjefe78czb12pgr49sn','run_01m8g2mfene99b3pvge9z8cgct.35dd97d712b491a9ebc7e64e36b039121c37d0b1','anabranch-process-task','running',NULL,NULL,'run_01m8g2mfene99b3pvge9z8cgct','35dd97d712b491a9ebc7e64e36b039121c37d0b1',1795835969102,NULL,NULL,NULL,1795835969102,1795835969102);
INSERT INTO "runs" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','run_01m8g2mfene99b3pvge9z8cgct.49b8afc35da4245710dc756f82d3e19c32e7370b','anabranch-process-task','running',NULL,NULL,'run_01m8g2mfene99b3pvge9z8cgct','49b8afc35da4245710dc756f82d3e19c32e7370b',1795835969124,NULL,NULL,NULL,1795835969124,1795835969124);
INSERT INTO "runs" VALUES('run_01m8g2mfkdf298efh1g6jgfkrp','run_01m8g2mfene99b3pvge9z8cgct.3e83decf9aa6ec824950785e5667ed8a5884dcdf','anabranch-process-task','running',NULL,NULL,'run_01m8g2mfene99b3pvge9z8cgct','3e83decf9aa6ec824950785e5667ed8a5884dcdf',1795835969133,NULL,NULL,NULL,1795835969133,1795835969133);
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
INSERT INTO "steps" VALUES('run_01m8g2mfene99b3pvge9z8cgct','49b8afc35da4245710dc756f82d3e19c32e7370b','hls-package','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2mfen4t2470bv28d3r69h", "input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "hls-package"}, "v": null}, "timeout": null}',NULL,NULL,1795835969023,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfene99b3pvge9z8cgct','3e83decf9aa6ec824950785e5667ed8a5884dcdf','poster-image','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2mfeng6pjgshmjuh7viqp", "input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "poster-image"}, "v": null}, "timeout": null}',NULL,NULL,1795835969023,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfene99b3pvge9z8cgct','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','gif-preview','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2mfenlg4ngief04a7qd4f", "input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "gif-preview"}, "v": null}, "timeout": null}',NULL,NULL,1795835969023,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfene99b3pvge9z8cgct','35dd97d712b491a9ebc7e64e36b039121c37d0b1','audio-transcription','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g2mfend6f93nana38nm0b3", "input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "media_id": "media_a240b5940e69fcf671e810e40a", "metadata": {"mediaId": "media_a240b5940e69fcf671e810e40a"}, "ref": "audio-transcription"}, "v": null}, "timeout": null}',NULL,NULL,1795835969023,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfj2f37s7kswdk3w7d6b','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "optional": false}]}}',1795835969118,1795835970131);
INSERT INTO "steps" VALUES('run_01m8g2mfjefe78czb12pgr49sn','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "transcribe", "optional": false}]}}',1795835969152,1795835970124);
INSERT INTO "steps" VALUES('run_01m8g2mfkdf298efh1g6jgfkrp','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "optional": false}]}}',1795835969192,1795835970125);
INSERT INTO "steps" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "chunk-0000", "optional": false}, {"name": "audio", "optional": false}, {"name": "chunk-0001", "optional": false}, {"name": "chunk-0002", "optional": false}, {"name": "storyboard", "optional": true}]}}',1795835969274,1795835970123);
INSERT INTO "steps" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','8ff9c48e7baa93413ab1ef281f64bf8ad3887322','chunk-0000','StepRun','pending',0,'{}',NULL,NULL,1795835970132,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','a06a492959ce12b3f0292406ec84177d07ae19b1','audio','StepRun','pending',0,'{}',NULL,NULL,1795835970132,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','7e58f81a919ac442b4b25e607d9b372c6611ef3c','chunk-0001','StepRun','pending',0,'{}',NULL,NULL,1795835970132,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','18598239e4a7527b075158db7ed3481c6c73c58b','chunk-0002','StepRun','pending',0,'{}',NULL,NULL,1795835970132,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','dd146b2a532be7dc2917ab343ef37079dddd2ac9','storyboard','StepRun','pending',0,'{}',NULL,NULL,1795835970132,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfjefe78czb12pgr49sn','4025a47e7364d273eb3954257dd89d8803b93e67','transcribe','StepRun','pending',0,'{}',NULL,NULL,1795835970133,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfkdf298efh1g6jgfkrp','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795835970134,NULL);
INSERT INTO "steps" VALUES('run_01m8g2mfj2f37s7kswdk3w7d6b','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795835970162,NULL);
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
INSERT INTO "tasks" VALUES('task_01m8g2mfenlg4ngief04a7qd4f','media_a240b5940e69fcf671e810e40a','gif-preview','video','{SOURCE}','{"start": 1, "end": 4, "width": 480, "format": "gif"}','{"mediaId": "media_a240b5940e69fcf671e810e40a"}','processing',0.0,'[{"name": "render", "weight": 3.0, "optional": false}]',NULL,NULL,1795835969124,1795835969168,NULL,1795835970058,NULL,'run_01m8g2mfj2f37s7kswdk3w7d6b');
INSERT INTO "tasks" VALUES('task_01m8g2mfend6f93nana38nm0b3','media_a240b5940e69fcf671e810e40a','audio-transcription','audio','{SOURCE}','{"format": "json", "language": "en"}','{"mediaId": "media_a240b5940e69fcf671e810e40a"}','processing',0.0,'[{"name": "transcribe", "weight": 14.0, "optional": false}]',NULL,NULL,1795835969181,1795835969201,NULL,1795835970105,NULL,'run_01m8g2mfjefe78czb12pgr49sn');
INSERT INTO "tasks" VALUES('task_01m8g2mfeng6pjgshmjuh7viqp','media_a240b5940e69fcf671e810e40a','poster-image','image','{SOURCE}','{"start": 2, "width": 1280, "format": "webp"}','{"mediaId": "media_a240b5940e69fcf671e810e40a"}','processing',0.0,'[{"name": "render", "weight": 1.0, "optional": false}]',NULL,NULL,1795835969198,1795835969228,NULL,1795835970099,NULL,'run_01m8g2mfkdf298efh1g6jgfkrp');
INSERT INTO "tasks" VALUES('task_01m8g2mfen4t2470bv28d3r69h','media_a240b5940e69fcf671e810e40a','hls-package','adaptive_video','{SOURCE}','{"format": "hls"}','{"mediaId": "media_a240b5940e69fcf671e810e40a"}','processing',0.0,'[{"name": "chunk-0000", "weight": 50.0, "optional": false}, {"name": "audio", "weight": 28.0, "optional": false}, {"name": "chunk-0001", "weight": 150.0, "optional": false}, {"name": "chunk-0002", "weight": 150.0, "optional": false}, {"name": "storyboard", "weight": 14.0, "optional": true}]',NULL,NULL,1795835969279,1795835969286,NULL,1795835970108,NULL,'run_01m8g2mfk4e3vtpfwsxssbrhmq');
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
INSERT INTO "workflow_input" VALUES('run_01m8g2mfene99b3pvge9z8cgct','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcybWZlbmU5OWIzcHZnZTl6OGNnY3SUhZSMBmt3YXJnc5R9lHUu',1795835968000);
INSERT INTO "workflow_input" VALUES('run_01m8g2mfj2f37s7kswdk3w7d6b','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcybWZqMmYzN3M3a3N3ZGszdzdkNmKUhZSMBmt3YXJnc5R9lHUu',1795835969000);
INSERT INTO "workflow_input" VALUES('run_01m8g2mfjefe78czb12pgr49sn','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcybWZqZWZlNzhjemIxMnBncjQ5c26UhZSMBmt3YXJnc5R9lHUu',1795835969000);
INSERT INTO "workflow_input" VALUES('run_01m8g2mfkdf298efh1g6jgfkrp','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcybWZrZGYyOThlZmgxZzZqZ2ZrcnCUhZSMBmt3YXJnc5R9lHUu',1795835969000);
INSERT INTO "workflow_input" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcybWZrNGUzdnRwZndzeHNzYnJobXGUhZSMBmt3YXJnc5R9lHUu',1795835969000);
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
INSERT INTO "workflow_status" VALUES('run_01m8g2mfene99b3pvge9z8cgct','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795835968000,1795835968000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'7ccd012b-af73-48d4-adec-5084c1f6639d',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','7ccd012b-af73-48d4-adec-5084c1f6639d');
INSERT INTO "workflow_status" VALUES('run_01m8g2mfj2f37s7kswdk3w7d6b','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795835969000,1795835969000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'001cefcf-0f4e-45cc-b888-ab05deaf4e77',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','001cefcf-0f4e-45cc-b888-ab05deaf4e77');
INSERT INTO "workflow_status" VALUES('run_01m8g2mfjefe78czb12pgr49sn','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795835969000,1795835969000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'8bac37b4-33e8-4e33-b9ec-2fd71b0127d9',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','8bac37b4-33e8-4e33-b9ec-2fd71b0127d9');
INSERT INTO "workflow_status" VALUES('run_01m8g2mfkdf298efh1g6jgfkrp','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795835969000,1795835969000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'905cacab-cc2c-423c-b070-669397cf65d9',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','905cacab-cc2c-423c-b070-669397cf65d9');
INSERT INTO "workflow_status" VALUES('run_01m8g2mfk4e3vtpfwsxssbrhmq','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795835969000,1795835969000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'07d1c29a-fb76-4a94-abe2-c7fad896fd20',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','07d1c29a-fb76-4a94-abe2-c7fad896fd20');
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
CREATE INDEX ix_tasks_finished_at ON tasks (finished_at);
CREATE INDEX ix_tasks_updated_at ON tasks (updated_at);
CREATE INDEX ix_media_updated_at ON media (updated_at);
CREATE INDEX ix_attempts_ended_at ON attempts (ended_at);
CREATE INDEX ix_events_received_at_id ON events (received_at, id);
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
