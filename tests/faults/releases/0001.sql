BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('b19427aa-0195-4383-8524-4334f5041ad2','1',1795836026000,1795836026000,'anabranch');
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
INSERT INTO "attempts" VALUES('task_01m8g2p7s1f1w853jg5c9y9mrz','audio',1,'running',0.0,NULL,NULL,NULL,1795836027457,NULL);
INSERT INTO "attempts" VALUES('task_01m8g2p7s1f1w853jg5c9y9mrz','chunk-0000',1,'running',0.0,NULL,NULL,NULL,1795836027491,NULL);
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
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
INSERT INTO "events" VALUES('media_22c04a5bd93fdcec665e664a6a.uploaded','video/uploaded','{"mediaId": "media_22c04a5bd93fdcec665e664a6a", "sourceUrl": "{SOURCE}"}',NULL,NULL,1795836026484,1795836026484);
INSERT INTO "events" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1.49b8afc35da4245710dc756f82d3e19c32e7370b','inngest/function.invoked','{"input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "hls-package"}',NULL,NULL,1795836026656,1795836026656);
INSERT INTO "events" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','inngest/function.invoked','{"input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "gif-preview"}',NULL,NULL,1795836026670,1795836026686);
INSERT INTO "events" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1.35dd97d712b491a9ebc7e64e36b039121c37d0b1','inngest/function.invoked','{"input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "audio-transcription"}',NULL,NULL,1795836026672,1795836026674);
INSERT INTO "events" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1.3e83decf9aa6ec824950785e5667ed8a5884dcdf','inngest/function.invoked','{"input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "poster-image"}',NULL,NULL,1795836026670,1795836026670);
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
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_media PRIMARY KEY (id)
);
INSERT INTO "media" VALUES('media_22c04a5bd93fdcec665e664a6a','processing','{SOURCE}',14.0,320,240,1443514,NULL,NULL,NULL,NULL,'[]',NULL,1795836026780,1795836027290);
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
	ended_at BIGINT, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_event_id_events FOREIGN KEY(event_id) REFERENCES events (id)
);
INSERT INTO "runs" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','media_22c04a5bd93fdcec665e664a6a.uploaded','anabranch-fanout-adaptive-streaming','running',NULL,NULL,NULL,NULL,1795836026485,NULL);
INSERT INTO "runs" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','run_01m8g2p7knf7ks5tcy6s8rsgc1.49b8afc35da4245710dc756f82d3e19c32e7370b','anabranch-process-task','running',NULL,NULL,'run_01m8g2p7knf7ks5tcy6s8rsgc1','49b8afc35da4245710dc756f82d3e19c32e7370b',1795836026657,NULL);
INSERT INTO "runs" VALUES('run_01m8g2p7t9f33b3874r31t2rny','run_01m8g2p7knf7ks5tcy6s8rsgc1.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','anabranch-process-task','running',NULL,NULL,'run_01m8g2p7knf7ks5tcy6s8rsgc1','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74',1795836026697,NULL);
INSERT INTO "runs" VALUES('run_01m8g2p7txfqn8c7wvascd3zhs','run_01m8g2p7knf7ks5tcy6s8rsgc1.35dd97d712b491a9ebc7e64e36b039121c37d0b1','anabranch-process-task','running',NULL,NULL,'run_01m8g2p7knf7ks5tcy6s8rsgc1','35dd97d712b491a9ebc7e64e36b039121c37d0b1',1795836026717,NULL);
INSERT INTO "runs" VALUES('run_01m8g2p7v9epwabz0en09j2vvr','run_01m8g2p7knf7ks5tcy6s8rsgc1.3e83decf9aa6ec824950785e5667ed8a5884dcdf','anabranch-process-task','running',NULL,NULL,'run_01m8g2p7knf7ks5tcy6s8rsgc1','3e83decf9aa6ec824950785e5667ed8a5884dcdf',1795836026729,NULL);
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
INSERT INTO "steps" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','49b8afc35da4245710dc756f82d3e19c32e7370b','hls-package','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "hls-package"}, "v": null}, "timeout": null}',NULL,NULL,1795836026633,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','3e83decf9aa6ec824950785e5667ed8a5884dcdf','poster-image','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "poster-image"}, "v": null}, "timeout": null}',NULL,NULL,1795836026633,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','gif-preview','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "gif-preview"}, "v": null}, "timeout": null}',NULL,NULL,1795836026633,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','35dd97d712b491a9ebc7e64e36b039121c37d0b1','audio-transcription','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "metadata": {"mediaId": "media_22c04a5bd93fdcec665e664a6a"}, "ref": "audio-transcription"}, "v": null}, "timeout": null}',NULL,NULL,1795836026633,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7t9f33b3874r31t2rny','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "arguments": {}, "weight": 3.0, "slot": "cpu", "urgent": true}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836026753,1795836027308);
INSERT INTO "steps" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "audio", "arguments": {}, "weight": 28.0, "slot": "cpu", "urgent": false}, {"name": "chunk-0000", "arguments": {"number": 0, "start": 0, "end": 150, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3"}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3"}]}, "weight": 150.0, "slot": "cpu", "urgent": false}, {"name": "chunk-0001", "arguments": {"number": 1, "start": 150, "end": 350, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3"}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3"}]}, "weight": 200.0, "slot": "cpu", "urgent": false}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836026939,1795836027309);
INSERT INTO "steps" VALUES('run_01m8g2p7v9epwabz0en09j2vvr','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "arguments": {}, "weight": 1.0, "slot": "cpu", "urgent": true}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836027007,1795836027309);
INSERT INTO "steps" VALUES('run_01m8g2p7txfqn8c7wvascd3zhs','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "transcribe", "arguments": {}, "weight": 14.0, "slot": "speech", "urgent": false}], "probe": {"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}}}',1795836027008,1795836027310);
INSERT INTO "steps" VALUES('run_01m8g2p7t9f33b3874r31t2rny','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795836027345,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','a06a492959ce12b3f0292406ec84177d07ae19b1','audio','StepRun','pending',0,'{}',NULL,NULL,1795836027347,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','8ff9c48e7baa93413ab1ef281f64bf8ad3887322','chunk-0000','StepRun','pending',0,'{}',NULL,NULL,1795836027347,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','7e58f81a919ac442b4b25e607d9b372c6611ef3c','chunk-0001','StepRun','pending',0,'{}',NULL,NULL,1795836027347,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7v9epwabz0en09j2vvr','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795836027350,NULL);
INSERT INTO "steps" VALUES('run_01m8g2p7txfqn8c7wvascd3zhs','4025a47e7364d273eb3954257dd89d8803b93e67','transcribe','StepRun','pending',0,'{}',NULL,NULL,1795836027350,NULL);
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
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_tasks PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES('task_01m8g2p7t9f33b3874r31t2rny','media_22c04a5bd93fdcec665e664a6a','gif-preview','video','{SOURCE}','{"start": 1, "end": 4, "width": 480, "format": "gif"}','{"mediaId": "media_22c04a5bd93fdcec665e664a6a"}','processing',0.0,'[{"name": "render", "weight": 3.0}]',NULL,NULL,1795836026770,1795836026785,NULL,1795836027283);
INSERT INTO "tasks" VALUES('task_01m8g2p7s1f1w853jg5c9y9mrz','media_22c04a5bd93fdcec665e664a6a','hls-package','adaptive_video','{SOURCE}','{"format": "hls"}','{"mediaId": "media_22c04a5bd93fdcec665e664a6a"}','processing',0.0,'[{"name": "audio", "weight": 28.0}, {"name": "chunk-0000", "weight": 150.0}, {"name": "chunk-0001", "weight": 200.0}]',NULL,NULL,1795836026984,1795836026996,NULL,1795836027289);
INSERT INTO "tasks" VALUES('task_01m8g2p7v9epwabz0en09j2vvr','media_22c04a5bd93fdcec665e664a6a','poster-image','image','{SOURCE}','{"start": 2, "width": 1280, "format": "webp"}','{"mediaId": "media_22c04a5bd93fdcec665e664a6a"}','processing',0.0,'[{"name": "render", "weight": 1.0}]',NULL,NULL,1795836027022,1795836027040,NULL,1795836027290);
INSERT INTO "tasks" VALUES('task_01m8g2p7txfqn8c7wvascd3zhs','media_22c04a5bd93fdcec665e664a6a','audio-transcription','audio','{SOURCE}','{"format": "json", "language": "en"}','{"mediaId": "media_22c04a5bd93fdcec665e664a6a"}','processing',0.0,'[{"name": "transcribe", "weight": 14.0}]',NULL,NULL,1795836027041,1795836027042,NULL,1795836027290);
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
INSERT INTO "workflow_input" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycDdrbmY3a3M1dGN5NnM4cnNnYzGUhZSMBmt3YXJnc5R9lHUu',1795836026000);
INSERT INTO "workflow_input" VALUES('run_01m8g2p7t9f33b3874r31t2rny','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycDd0OWYzM2IzODc0cjMxdDJybnmUhZSMBmt3YXJnc5R9lHUu',1795836026000);
INSERT INTO "workflow_input" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycDdzMWYxdzg1M2pnNWM5eTltcnqUhZSMBmt3YXJnc5R9lHUu',1795836026000);
INSERT INTO "workflow_input" VALUES('run_01m8g2p7v9epwabz0en09j2vvr','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycDd2OWVwd2FiejBlbjA5ajJ2dnKUhZSMBmt3YXJnc5R9lHUu',1795836026000);
INSERT INTO "workflow_input" VALUES('run_01m8g2p7txfqn8c7wvascd3zhs','gASVOgAAAAAAAAB9lCiMBGFyZ3OUjB5ydW5fMDFtOGcycDd0eGZxbjhjN3d2YXNjZDN6aHOUhZSMBmt3YXJnc5R9lHUu',1795836026000);
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
INSERT INTO "workflow_status" VALUES('run_01m8g2p7knf7ks5tcy6s8rsgc1','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836026000,1795836026000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'a0c8663a-a7f7-4e12-8173-cebe90a23515',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','a0c8663a-a7f7-4e12-8173-cebe90a23515');
INSERT INTO "workflow_status" VALUES('run_01m8g2p7t9f33b3874r31t2rny','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836026000,1795836026000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'c6e265bc-6468-4ef5-b849-0b9a125d4edd',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','c6e265bc-6468-4ef5-b849-0b9a125d4edd');
INSERT INTO "workflow_status" VALUES('run_01m8g2p7s1f1w853jg5c9y9mrz','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836026000,1795836026000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'cdd05f51-3751-41f8-9e9d-bf09741dbf55',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','cdd05f51-3751-41f8-9e9d-bf09741dbf55');
INSERT INTO "workflow_status" VALUES('run_01m8g2p7v9epwabz0en09j2vvr','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836026000,1795836026000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'265adedd-219c-4963-bee8-7ebddefe40f0',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','265adedd-219c-4963-bee8-7ebddefe40f0');
INSERT INTO "workflow_status" VALUES('run_01m8g2p7txfqn8c7wvascd3zhs','PENDING','drive',NULL,NULL,NULL,NULL,NULL,NULL,'local',1795836026000,1795836026000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'f5eb212b-ab7d-477c-8353-2aefcdc31158',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'anabranch','f5eb212b-ab7d-477c-8353-2aefcdc31158');
CREATE INDEX ix_tasks_input ON tasks (input);
CREATE INDEX ix_tasks_media_id ON tasks (media_id);
CREATE INDEX ix_events_name ON events (name);
CREATE INDEX ix_runs_event_id ON runs (event_id);
CREATE INDEX ix_runs_function_id ON runs (function_id);
CREATE INDEX ix_runs_running ON runs (created_at) WHERE status = 'running';
CREATE INDEX ix_steps_waiting ON steps (name) WHERE op = 'WaitForEvent' AND status = 'pending';
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
COMMIT;
