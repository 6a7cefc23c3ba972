BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0009');
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
	ended_at BIGINT, command TEXT, log TEXT, worker_id TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (task_id, piece, attempt), 
	CONSTRAINT fk_attempts_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "attempts" VALUES('task_01m8g1vy82ro0djpch4ig80in4','plan',1,'completed',1.0,NULL,'{"pieces": 1}',NULL,1795835166041,1795835168222,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "attempts" VALUES('task_01m8g1vy820al6rfmtka4uu71k','plan',1,'completed',1.0,NULL,'{"pieces": 1}',NULL,1795835166181,1795835168618,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "attempts" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','plan',1,'completed',1.0,NULL,'{"pieces": 5}',NULL,1795835166414,1795835168578,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "attempts" VALUES('task_01m8g1vy82bprtj0426j5hdedr','plan',1,'completed',1.0,NULL,'{"pieces": 1}',NULL,1795835166446,1795835168605,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "attempts" VALUES('task_01m8g1vy82ro0djpch4ig80in4','render',1,'running',0.0,NULL,NULL,NULL,1795835168287,NULL,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "attempts" VALUES('task_01m8g1vy820al6rfmtka4uu71k','render',1,'running',0.0,NULL,NULL,NULL,1795835168903,NULL,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "attempts" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','chunk-0000',1,'running',0.0,NULL,NULL,NULL,1795835168981,NULL,NULL,NULL,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
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
INSERT INTO "changes" VALUES(1,'evt_01m8g1vysbe1t9bmdh8m1nemge','media.created','media_515ca716a254b4af336e1b5569',NULL,'{"id": "media_515ca716a254b4af336e1b5569", "object": "media", "status": "processing", "playable": false, "percent": 0.0, "title": null, "alt": null, "metadata": {}, "private": false, "hlsUrl": null, "dashUrl": null, "posterUrl": null, "gifUrl": null, "transcriptionUrl": null, "captionsUrl": null, "storyboardUrl": null, "sourceUrl": "{SOURCE}", "durationS": null, "width": null, "height": null, "sizeBytes": null, "renditions": [], "branches": [], "error": null, "createdAt": 1795835165385, "updatedAt": 1795835165385}',1795835165483);
INSERT INTO "changes" VALUES(2,'evt_01m8g1vyzdetjb38re99a7rda1','task.created','media_515ca716a254b4af336e1b5569','task_01m8g1vy82ro0djpch4ig80in4','{"id": "task_01m8g1vy82ro0djpch4ig80in4", "media_id": "media_515ca716a254b4af336e1b5569", "ref": "poster-image", "kind": "image", "input": "{SOURCE}", "options": {"start": 2, "width": 1280, "format": "webp"}, "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835165323, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g1vyenevcaqe0wavnrqmp4"}',1795835165677);
INSERT INTO "changes" VALUES(3,'evt_01m8g1vz1nfdttd0saf2k1zhxk','task.created','media_515ca716a254b4af336e1b5569','task_01m8g1vy820al6rfmtka4uu71k','{"id": "task_01m8g1vy820al6rfmtka4uu71k", "media_id": "media_515ca716a254b4af336e1b5569", "ref": "gif-preview", "kind": "video", "input": "{SOURCE}", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835165333, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g1vyhkexx9h46nczdz0rbq"}',1795835165749);
INSERT INTO "changes" VALUES(4,'evt_01m8g1vz5he839nk8barfmhjmg','task.created','media_515ca716a254b4af336e1b5569','task_01m8g1vy8243657kdi6tdmqhn3','{"id": "task_01m8g1vy8243657kdi6tdmqhn3", "media_id": "media_515ca716a254b4af336e1b5569", "ref": "hls-package", "kind": "adaptive_video", "input": "{SOURCE}", "options": {"format": "hls"}, "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835165459, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g1vyd2fp78kxqf7m9czmpq"}',1795835165873);
INSERT INTO "changes" VALUES(5,'evt_01m8g1vzcmewcbqyde4d84wgaf','task.created','media_515ca716a254b4af336e1b5569','task_01m8g1vy82bprtj0426j5hdedr','{"id": "task_01m8g1vy82bprtj0426j5hdedr", "media_id": "media_515ca716a254b4af336e1b5569", "ref": "audio-transcription", "kind": "audio", "input": "{SOURCE}", "options": {"format": "json", "language": "en"}, "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "status": "queued", "progress": 0.0, "pieces": null, "output": null, "error": null, "created_at": 1795835166038, "started_at": null, "finished_at": null, "webhook_url": null, "run_id": "run_01m8g1vyepfjsbw1rmnzgnm9nr"}',1795835166100);
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
INSERT INTO "events" VALUES('media_515ca716a254b4af336e1b5569.uploaded','video/uploaded','{"mediaId": "media_515ca716a254b4af336e1b5569", "sourceUrl": "{SOURCE}"}',NULL,NULL,1795835164928,1795835164928);
INSERT INTO "events" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t.49b8afc35da4245710dc756f82d3e19c32e7370b','inngest/function.invoked','{"id": "task_01m8g1vy8243657kdi6tdmqhn3", "input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "hls-package"}',NULL,NULL,1795835165089,1795835165089);
INSERT INTO "events" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t.3e83decf9aa6ec824950785e5667ed8a5884dcdf','inngest/function.invoked','{"id": "task_01m8g1vy82ro0djpch4ig80in4", "input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "poster-image"}',NULL,NULL,1795835165117,1795835165117);
INSERT INTO "events" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t.35dd97d712b491a9ebc7e64e36b039121c37d0b1','inngest/function.invoked','{"id": "task_01m8g1vy82bprtj0426j5hdedr", "input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "audio-transcription"}',NULL,NULL,1795835165142,1795835165142);
INSERT INTO "events" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','inngest/function.invoked','{"id": "task_01m8g1vy820al6rfmtka4uu71k", "input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "gif-preview"}',NULL,NULL,1795835165120,1795835165124);
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
INSERT INTO "media" VALUES('media_515ca716a254b4af336e1b5569','processing','{SOURCE}',14.0,320,240,1443514,NULL,NULL,NULL,NULL,'[]',NULL,1795835165385,1795835168603,NULL,NULL,'{}',0,0.0);
CREATE TABLE places (
	call_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	capacity INTEGER NOT NULL, 
	limits TEXT NOT NULL, 
	rank BIGINT NOT NULL, 
	worker_id TEXT NOT NULL, 
	granted BOOLEAN NOT NULL, 
	CONSTRAINT pk_places PRIMARY KEY (call_id, "key")
);
CREATE TABLE plans (
	task_id TEXT NOT NULL, 
	pieces JSON NOT NULL, 
	probe JSON NOT NULL, 
	CONSTRAINT pk_plans PRIMARY KEY (task_id), 
	CONSTRAINT fk_plans_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "plans" VALUES('task_01m8g1vy82ro0djpch4ig80in4','[{"name": "render", "arguments": {}, "weight": 1.0, "slot": "cpu", "urgent": true, "position_s": 0.0, "optional": false, "requires": ["encoder:libwebp"]}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
INSERT INTO "plans" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','[{"name": "chunk-0000", "arguments": {"number": 0, "chunk": {"start": 0, "end": 50, "keys": [0], "segments": [0]}, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}], "target_s": 6.0}, "weight": 50.0, "slot": "rungs", "urgent": false, "position_s": 0.0, "optional": false, "requires": ["encoder:libx264"]}, {"name": "audio", "arguments": {"track": 0}, "weight": 28.0, "slot": "cpu", "urgent": false, "position_s": 0.0, "optional": false, "requires": []}, {"name": "chunk-0001", "arguments": {"number": 1, "chunk": {"start": 50, "end": 200, "keys": [50, 100, 150], "segments": [50]}, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}], "target_s": 6.0}, "weight": 150.0, "slot": "rungs", "urgent": false, "position_s": 2.0, "optional": false, "requires": ["encoder:libx264"]}, {"name": "chunk-0002", "arguments": {"number": 2, "chunk": {"start": 200, "end": 350, "keys": [200, 250, 300], "segments": [200]}, "rungs": [{"name": "240p", "width": 320, "height": 240, "maxrate_kbps": 400, "level": "1.3", "codec": "h264", "copied": false}, {"name": "144p", "width": 192, "height": 144, "maxrate_kbps": 200, "level": "1.3", "codec": "h264", "copied": false}], "target_s": 6.0}, "weight": 150.0, "slot": "rungs", "urgent": false, "position_s": 8.0, "optional": false, "requires": ["encoder:libx264"]}, {"name": "storyboard", "arguments": {}, "weight": 14.0, "slot": "cpu", "urgent": false, "position_s": 14.0, "optional": true, "requires": []}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
INSERT INTO "plans" VALUES('task_01m8g1vy820al6rfmtka4uu71k','[{"name": "render", "arguments": {}, "weight": 3.0, "slot": "cpu", "urgent": true, "position_s": 0.0, "optional": false, "requires": ["encoder:gif"]}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
INSERT INTO "plans" VALUES('task_01m8g1vy82bprtj0426j5hdedr','[{"name": "transcribe", "arguments": {}, "weight": 14.0, "slot": "speech", "urgent": false, "position_s": 2.0, "optional": false, "requires": ["speech"]}]','{"format": "mov", "zero_s": 0.0, "duration_s": 14.0, "size_bytes": 1443514, "video": {"index": 0, "codec": "h264", "width": 320, "height": 240, "sample_aspect_ratio": "1", "rotation": 0, "mirrored": false, "display_width": 320, "display_height": 240, "frame_rate": "25", "variable_rate": false, "frames": 350, "start_s": 0.0, "end_s": 14.0, "keyframes_s": [0.0, 10.0], "pixel_format": "yuv420p", "bit_depth": 8, "color_transfer": "unknown", "color_primaries": "unknown", "color_space": "unknown", "color_range": "unknown", "interlaced": false, "bitrate_kbps": 723.2, "peak_kbps": 750.7, "closed_gops": true}, "audio": [{"index": 1, "codec": "aac", "channels": 1, "sample_rate": 48000, "language": "und", "title": "", "default": true, "start_s": 0.0, "end_s": 14.0}], "damaged": false}');
CREATE TABLE published (
	"key" TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	text TEXT NOT NULL, 
	edition INTEGER NOT NULL, 
	CONSTRAINT pk_published PRIMARY KEY ("key"), 
	CONSTRAINT fk_published_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
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
	ended_at BIGINT, original_run_id TEXT, due_at BIGINT, rank BIGINT, started_at BIGINT, driver TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_event_id_events FOREIGN KEY(event_id) REFERENCES events (id)
);
INSERT INTO "runs" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t','media_515ca716a254b4af336e1b5569.uploaded','anabranch-fanout-adaptive-streaming','running',NULL,NULL,NULL,NULL,1795835164930,NULL,NULL,NULL,1795835164930,1795835164930,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "runs" VALUES('run_01m8g1vyd2fp78kxqf7m9czmpq','run_01m8g1vy82en2bwc0e8epf0c8t.49b8afc35da4245710dc756f82d3e19c32e7370b','anabranch-process-task','running',NULL,NULL,'run_01m8g1vy82en2bwc0e8epf0c8t','49b8afc35da4245710dc756f82d3e19c32e7370b',1795835165090,NULL,NULL,NULL,1795835165090,1795835165090,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "runs" VALUES('run_01m8g1vyenevcaqe0wavnrqmp4','run_01m8g1vy82en2bwc0e8epf0c8t.3e83decf9aa6ec824950785e5667ed8a5884dcdf','anabranch-process-task','running',NULL,NULL,'run_01m8g1vy82en2bwc0e8epf0c8t','3e83decf9aa6ec824950785e5667ed8a5884dcdf',1795835165141,NULL,NULL,NULL,1795835165141,1795835165141,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "runs" VALUES('run_01m8g1vyepfjsbw1rmnzgnm9nr','run_01m8g1vy82en2bwc0e8epf0c8t.35dd97d712b491a9ebc7e64e36b039121c37d0b1','anabranch-process-task','running',NULL,NULL,'run_01m8g1vy82en2bwc0e8epf0c8t','35dd97d712b491a9ebc7e64e36b039121c37d0b1',1795835165142,NULL,NULL,NULL,1795835165142,1795835165142,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
INSERT INTO "runs" VALUES('run_01m8g1vyhkexx9h46nczdz0rbq','run_01m8g1vy82en2bwc0e8epf0c8t.d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','anabranch-process-task','running',NULL,NULL,'run_01m8g1vy82en2bwc0e8epf0c8t','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74',1795835165235,NULL,NULL,NULL,1795835165235,1795835165235,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0');
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
CREATE TABLE step_attempts (
	run_id TEXT NOT NULL, 
	step TEXT NOT NULL, 
	name TEXT, 
	failures INTEGER NOT NULL, 
	error JSON, 
	due_at BIGINT, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_step_attempts PRIMARY KEY (run_id, step)
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
INSERT INTO "steps" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t','35dd97d712b491a9ebc7e64e36b039121c37d0b1','audio-transcription','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g1vy82bprtj0426j5hdedr", "input": "{SOURCE}", "kind": "audio", "options": {"format": "json", "language": "en"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "audio-transcription"}, "v": null}, "timeout": null}',NULL,NULL,1795835165053,NULL);
INSERT INTO "steps" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t','3e83decf9aa6ec824950785e5667ed8a5884dcdf','poster-image','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g1vy82ro0djpch4ig80in4", "input": "{SOURCE}", "kind": "image", "options": {"start": 2, "width": 1280, "format": "webp"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "poster-image"}, "v": null}, "timeout": null}',NULL,NULL,1795835165053,NULL);
INSERT INTO "steps" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t','49b8afc35da4245710dc756f82d3e19c32e7370b','hls-package','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g1vy8243657kdi6tdmqhn3", "input": "{SOURCE}", "kind": "adaptive_video", "options": {"format": "hls"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "hls-package"}, "v": null}, "timeout": null}',NULL,NULL,1795835165053,NULL);
INSERT INTO "steps" VALUES('run_01m8g1vy82en2bwc0e8epf0c8t','d1c6be8b93d30ffbadd9f9d16eff19ef4c76ab74','gif-preview','InvokeFunction','pending',0,'{"function_id": "anabranch-process-task", "payload": {"data": {"id": "task_01m8g1vy820al6rfmtka4uu71k", "input": "{SOURCE}", "kind": "video", "options": {"start": 1, "end": 4, "width": 480, "format": "gif"}, "media_id": "media_515ca716a254b4af336e1b5569", "metadata": {"mediaId": "media_515ca716a254b4af336e1b5569"}, "ref": "gif-preview"}, "v": null}, "timeout": null}',NULL,NULL,1795835165053,NULL);
INSERT INTO "steps" VALUES('run_01m8g1vyenevcaqe0wavnrqmp4','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "optional": false}]}}',1795835165247,1795835168580);
INSERT INTO "steps" VALUES('run_01m8g1vyhkexx9h46nczdz0rbq','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "render", "optional": false}]}}',1795835165255,1795835168980);
INSERT INTO "steps" VALUES('run_01m8g1vyd2fp78kxqf7m9czmpq','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','completed',0,'{}',NULL,'{"data": {"pieces": [{"name": "chunk-0000", "optional": false}, {"name": "audio", "optional": false}, {"name": "chunk-0001", "optional": false}, {"name": "chunk-0002", "optional": false}, {"name": "storyboard", "optional": true}]}}',1795835165365,1795835168961);
INSERT INTO "steps" VALUES('run_01m8g1vyepfjsbw1rmnzgnm9nr','bed97175b06e68eb7ff5722897aa86b8ea75c8ef','plan','StepRun','pending',0,'{}',NULL,NULL,1795835165459,NULL);
INSERT INTO "steps" VALUES('run_01m8g1vyenevcaqe0wavnrqmp4','37eca5751d1f6d7dfe5688efc6d86da3dd09c16f','render','StepRun','pending',0,'{}',NULL,NULL,1795835168897,NULL);
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
	updated_at BIGINT NOT NULL, webhook_url TEXT, run_id TEXT, edition INTEGER DEFAULT '0' NOT NULL, stored_edition INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_tasks PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES('task_01m8g1vy82ro0djpch4ig80in4','media_515ca716a254b4af336e1b5569','poster-image','image','{SOURCE}','{"start": 2, "width": 1280, "format": "webp"}','{"mediaId": "media_515ca716a254b4af336e1b5569"}','processing',0.0,'[{"name": "render", "weight": 1.0, "optional": false}]',NULL,NULL,1795835165323,1795835165685,NULL,1795835168217,NULL,'run_01m8g1vyenevcaqe0wavnrqmp4',0,0);
INSERT INTO "tasks" VALUES('task_01m8g1vy820al6rfmtka4uu71k','media_515ca716a254b4af336e1b5569','gif-preview','video','{SOURCE}','{"start": 1, "end": 4, "width": 480, "format": "gif"}','{"mediaId": "media_515ca716a254b4af336e1b5569"}','processing',0.0,'[{"name": "render", "weight": 3.0, "optional": false}]',NULL,NULL,1795835165333,1795835165750,NULL,1795835168591,NULL,'run_01m8g1vyhkexx9h46nczdz0rbq',0,0);
INSERT INTO "tasks" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','media_515ca716a254b4af336e1b5569','hls-package','adaptive_video','{SOURCE}','{"format": "hls"}','{"mediaId": "media_515ca716a254b4af336e1b5569"}','processing',0.0,'[{"name": "chunk-0000", "weight": 50.0, "optional": false}, {"name": "audio", "weight": 28.0, "optional": false}, {"name": "chunk-0001", "weight": 150.0, "optional": false}, {"name": "chunk-0002", "weight": 150.0, "optional": false}, {"name": "storyboard", "weight": 14.0, "optional": true}]',NULL,NULL,1795835165459,1795835165874,NULL,1795835168414,NULL,'run_01m8g1vyd2fp78kxqf7m9czmpq',0,0);
INSERT INTO "tasks" VALUES('task_01m8g1vy82bprtj0426j5hdedr','media_515ca716a254b4af336e1b5569','audio-transcription','audio','{SOURCE}','{"format": "json", "language": "en"}','{"mediaId": "media_515ca716a254b4af336e1b5569"}','processing',0.0,'[{"name": "transcribe", "weight": 14.0, "optional": false}]',NULL,NULL,1795835166038,1795835166101,NULL,1795835168598,NULL,'run_01m8g1vyepfjsbw1rmnzgnm9nr',0,0);
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
CREATE TABLE work (
	task_id TEXT NOT NULL, 
	piece TEXT NOT NULL, 
	needs TEXT NOT NULL, 
	requires TEXT DEFAULT '' NOT NULL, 
	arguments JSON, 
	due_at BIGINT NOT NULL, 
	place INTEGER NOT NULL, 
	worker_id TEXT, 
	attempt INTEGER, 
	error JSON, 
	asked_at BIGINT NOT NULL, 
	CONSTRAINT pk_work PRIMARY KEY (task_id, piece), 
	CONSTRAINT fk_work_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "work" VALUES('task_01m8g1vy82ro0djpch4ig80in4','render','urgent image','encoder:libwebp',NULL,1795835165323,0,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0',1,NULL,1795835168221);
INSERT INTO "work" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','chunk-0000','rungs','encoder:libx264',NULL,1795835165459,0,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0',1,NULL,1795835168577);
INSERT INTO "work" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','audio','cpu','',NULL,1795835165459,1,NULL,NULL,NULL,1795835168577);
INSERT INTO "work" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','chunk-0001','rungs','encoder:libx264',NULL,1795835185459,2,NULL,NULL,NULL,1795835168577);
INSERT INTO "work" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','chunk-0002','rungs','encoder:libx264',NULL,1795835245459,3,NULL,NULL,NULL,1795835168577);
INSERT INTO "work" VALUES('task_01m8g1vy8243657kdi6tdmqhn3','storyboard','cpu','',NULL,1795835305459,4,NULL,NULL,NULL,1795835168577);
INSERT INTO "work" VALUES('task_01m8g1vy820al6rfmtka4uu71k','render','urgent video','encoder:gif',NULL,1795835165333,0,'wrk_01m8g1vv7df1vs2c7cvzeeyvv0',1,NULL,1795835168601);
INSERT INTO "work" VALUES('task_01m8g1vy82bprtj0426j5hdedr','transcribe','speech','speech',NULL,1795835186038,0,NULL,NULL,NULL,1795835168604);
CREATE TABLE workers (
	id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	home TEXT NOT NULL, 
	version TEXT NOT NULL, 
	status TEXT NOT NULL, 
	capabilities JSON NOT NULL, 
	address TEXT, 
	free_bytes BIGINT NOT NULL, 
	started_at BIGINT NOT NULL, 
	seen_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
INSERT INTO "workers" VALUES('wrk_01m8g1vv7df1vs2c7cvzeeyvv0','vm',15453,'33889e0f4636a1e3e5d48e01053e70b3','0.1.0','active','{"slots": 2, "ffmpeg": "n9.0.2-17-g2a571b6068-20260930", "encoders": ["=", "a64multi", "a64multi5", "aac", "ac3", "ac3_fixed", "adpcm_adx", "adpcm_argo", "adpcm_ima_alp", "adpcm_ima_amv", "adpcm_ima_apm", "adpcm_ima_qt", "adpcm_ima_ssi", "adpcm_ima_wav", "adpcm_ima_ws", "adpcm_ms", "adpcm_swf", "adpcm_yamaha", "alac", "alias_pix", "amv", "anull", "apng", "aptx", "aptx_hd", "ass", "asv1", "asv2", "av1_amf", "av1_nvenc", "av1_qsv", "av1_vaapi", "av1_vulkan", "avrp", "avui", "bitpacked", "bmp", "cfhd", "cinepak", "cljr", "comfortnoise", "dca", "dfpwm", "dnxhd", "dpx", "dvbsub", "dvdsub", "dvvideo", "dxv", "eac3", "exr", "ffv1", "ffv1_vulkan", "ffvhuff", "fits", "flac", "flashsv", "flashsv2", "flv", "g722", "g723_1", "g726", "g726le", "gif", "h261", "h263", "h263_v4l2m2m", "h263p", "h264_amf", "h264_nvenc", "h264_qsv", "h264_v4l2m2m", "h264_vaapi", "h264_vulkan", "hap", "hdr", "hevc_amf", "hevc_nvenc", "hevc_qsv", "hevc_v4l2m2m", "hevc_vaapi", "hevc_vulkan", "huffyuv", "jpeg2000", "jpegls", "libaom-av1", "libjxl", "libjxl_anim", "libkvazaar", "libmp3lame", "liboapv", "libopencore_amrnb", "libopenh264", "libopenjpeg", "libopus", "librav1e", "libsvtav1", "libtheora", "libtwolame", "libvorbis", "libvpx", "libvpx-vp9", "libvvenc", "libwebp", "libwebp_anim", "libx264", "libx264rgb", "libx265", "libxavs2", "libxvid", "ljpeg", "magicyuv", "mjpeg", "mjpeg_qsv", "mjpeg_vaapi", "mlp", "mov_text", "mp2", "mp2fixed", "mpeg1video", "mpeg2_qsv", "mpeg2_vaapi", "mpeg2video", "mpeg4", "mpeg4_v4l2m2m", "msmpeg4", "msmpeg4v2", "msrle", "msvideo1", "nellymoser", "opus", "pam", "pbm", "pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16be_planar", "pcm_s16le", "pcm_s16le_planar", "pcm_s24be", "pcm_s24daud", "pcm_s24le", "pcm_s24le_planar", "pcm_s32be", "pcm_s32le", "pcm_s32le_planar", "pcm_s64be", "pcm_s64le", "pcm_s8", "pcm_s8_planar", "pcm_u16be", "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le", "pcm_u8", "pcm_vidc", "pcx", "pdv", "pfm", "pgm", "pgmyuv", "phm", "png", "ppm", "prores", "prores_aw", "prores_ks", "prores_ks_vulkan", "qoi", "qtrle", "r10k", "r210", "rawvideo", "real_144", "roq_dpcm", "roqvideo", "rpza", "rv10", "rv20", "s302m", "sbc", "sgi", "smc", "snow", "speedhq", "srt", "ssa", "subrip", "sunrast", "svq1", "targa", "text", "tiff", "truehd", "tta", "ttml", "utvideo", "v210", "vbn", "vc2", "vnull", "vorbis", "vp8_v4l2m2m", "vp8_vaapi", "vp9_qsv", "vp9_vaapi", "wavpack", "wbmp", "webvtt", "wmav1", "wmav2", "wmv1", "wmv2", "wrapped_avframe", "xbm", "xface", "xsub", "xwd", "y41p", "yuv4", "zlib", "zmbv"], "filters": ["a3dscope", "aap", "abench", "abitscope", "abuffer", "abuffersink", "acompressor", "acontrast", "acopy", "acrossfade", "acrossover", "acrusher", "acue", "addroi", "adeclick", "adeclip", "adecorrelate", "adelay", "adenorm", "aderivative", "adrawgraph", "adrc", "adynamicequalizer", "adynamicsmooth", "aecho", "aemphasis", "aeval", "aevalsrc", "aexciter", "afade", "afdelaysrc", "afftdn", "afftfilt", "afir", "afireqsrc", "afirsrc", "aformat", "afreqshift", "afwtdn", "agate", "agraphmonitor", "ahistogram", "aiir", "aintegral", "ainterleave", "alatency", "alimiter", "allpass", "allrgb", "allyuv", "aloop", "alphaextract", "alphamerge", "amerge", "ametadata", "amix", "amovie", "amplify", "amultiply", "anequalizer", "anlmdn", "anlmf", "anlms", "anoisesrc", "anull", "anullsink", "anullsrc", "apad", "aperms", "aphasemeter", "aphaser", "aphaseshift", "apsnr", "apsyclip", "apulsator", "arealtime", "aresample", "areverse", "arls", "arnndn", "asdr", "asegment", "aselect", "asendcmd", "asetnsamples", "asetpts", "asetrate", "asettb", "ashowinfo", "asidedata", "asisdr", "asoftclip", "aspectralstats", "asplit", "ass", "astats", "astreamselect", "asubboost", "asubcut", "asupercut", "asuperpass", "asuperstop", "atadenoise", "atempo", "atilt", "atrim", "avectorscope", "avgblur", "avgblur_opencl", "avgblur_vulkan", "avsynctest", "axcorrelate", "azmq", "backgroundkey", "bandpass", "bandreject", "bass", "bbox", "bench", "bilateral", "bilateral_cuda", "biquad", "bitplanenoise", "blackdetect", "blackdetect_vulkan", "blackframe", "blend", "blend_vulkan", "blockdetect", "blurdetect", "bm3d", "boxblur", "boxblur_opencl", "buffer", "buffersink", "bwdif", "bwdif_cuda", "bwdif_vulkan", "cas", "ccrepack", "cellauto", "channelmap", "channelsplit", "chorus", "chromaber_vulkan", "chromahold", "chromakey", "chromakey_cuda", "chromanr", "chromashift", "ciescope", "codecview", "color", "color_vulkan", "colorbalance", "colorchannelmixer", "colorchart", "colorcontrast", "colorcorrect", "colordetect", "colorhold", "colorize", "colorkey", "colorkey_opencl", "colorlevels", "colormap", "colormatrix", "colorspace", "colorspace_cuda", "colorspectrum", "colortemperature", "compand", "compensationdelay", "concat", "convolution", "convolution_opencl", "convolve", "copy", "corr", "cover_rect", "crop", "cropdetect", "crossfeed", "crystalizer", "cue", "curves", "datascope", "dblur", "dcshift", "dctdnoiz", "deband", "deblock", "decimate", "deconvolve", "dedot", "deesser", "deflate", "deflicker", "deinterlace_qsv", "deinterlace_vaapi", "dejudder", "delogo", "denoise_vaapi", "deshake", "deshake_opencl", "despill", "detelecine", "dialoguenhance", "dilation", "dilation_opencl", "displace", "doubleweave", "drawbox", "drawbox_vaapi", "drawgraph", "drawgrid", "drawtext", "drmeter", "dynaudnorm", "earwax", "ebur128", "edgedetect", "elbg", "entropy", "epx", "eq", "equalizer", "erosion", "erosion_opencl", "estdif", "exposure", "extractplanes", "extrastereo", "fade", "feedback", "fftdnoiz", "fftfilt", "field", "fieldhint", "fieldmatch", "fieldorder", "fillborders", "find_rect", "firequalizer", "flanger", "flip_vulkan", "floodfill", "format", "fps", "framepack", "framerate", "framestep", "freezedetect", "freezeframes", "frei0r", "frei0r_src", "fspp", "fsync", "gblur", "gblur_vulkan", "geq", "gradfun", "gradients", "graphmonitor", "grayworld", "greyedge", "guided", "haas", "haldclut", "haldclutsrc", "hdcd", "headphone", "hflip", "hflip_vulkan", "highpass", "highshelf", "hilbert", "histeq", "histogram", "hqdn3d", "hqx", "hstack", "hstack_qsv", "hstack_vaapi", "hsvhold", "hsvkey", "hue", "huesaturation", "hwdownload", "hwmap", "hwupload", "hwupload_cuda", "hysteresis", "identity", "idet", "il", "inflate", "interlace", "interlace_vulkan", "interleave", "join", "kerndeint", "kirsch", "lagfun", "latency", "lcevc", "lenscorrection", "libplacebo", "libvmaf", "life", "limitdiff", "limiter", "loop", "loudnorm", "lowpass", "lowshelf", "lumakey", "lut", "lut1d", "lut2", "lut3d", "lutrgb", "lutyuv", "lv2", "mandelbrot", "maskedclamp", "maskedmax", "maskedmerge", "maskedmin", "maskedthreshold", "maskfun", "mcdeint", "mcompand", "median", "mergeplanes", "mestimate", "metadata", "midequalizer", "minterpolate", "mix", "monochrome", "morpho", "movie", "mpdecimate", "mptestsrc", "msad", "multiply", "negate", "nlmeans", "nlmeans_opencl", "nlmeans_vulkan", "nnedi", "noformat", "noise", "normalize", "null", "nullsink", "nullsrc", "openclsrc", "oscilloscope", "overlay", "overlay_cuda", "overlay_opencl", "overlay_qsv", "overlay_vaapi", "overlay_vulkan", "owdenoise", "pad", "pad_cuda", "pad_opencl", "pad_vaapi", "pal100bars", "pal75bars", "palettegen", "paletteuse", "pan", "perlin", "perms", "perspective", "phase", "photosensitivity", "pixdesctest", "pixelize", "pixscope", "pp7", "premultiply", "premultiply_dynamic", "prewitt", "prewitt_opencl", "procamp_vaapi", "program_opencl", "pseudocolor", "psnr", "pullup", "qp", "random", "readeia608", "readvitc", "realtime", "remap", "remap_opencl", "removegrain", "removelogo", "repeatfields", "replaygain", "reverse", "rgbashift", "rgbtestsrc", "roberts", "roberts_opencl", "rotate", "rubberband", "sab", "scale", "scale2ref", "scale_cuda", "scale_qsv", "scale_vaapi", "scale_vulkan", "scdet", "scdet_vulkan", "scharr", "scroll", "segment", "select", "selectivecolor", "sendcmd", "separatefields", "setdar", "setfield", "setparams", "setpts", "setrange", "setsar", "settb", "sharpness_vaapi", "shear", "showcqt", "showcwt", "showfreqs", "showinfo", "showpalette", "showspatial", "showspectrum", "showspectrumpic", "showvolume", "showwaves", "showwavespic", "shuffleframes", "shufflepixels", "shuffleplanes", "sidechaincompress", "sidechaingate", "sidedata", "sierpinski", "signalstats", "signature", "silencedetect", "silenceremove", "sinc", "sine", "siti", "smartblur", "smptebars", "smptehdbars", "sobel", "sobel_opencl", "spectrumsynth", "speechnorm", "split", "spp", "sr_amf", "ssim", "ssim360", "stereo3d", "stereotools", "stereowiden", "streamselect", "subtitles", "super2xsai", "superequalizer", "surround", "swaprect", "swapuv", "tblend", "telecine", "testsrc", "testsrc2", "thistogram", "threshold", "thumbnail", "thumbnail_cuda", "tile", "tiltandshift", "tiltshelf", "tinterlace", "tlut2", "tmedian", "tmidequalizer", "tmix", "tonemap", "tonemap_opencl", "tonemap_vaapi", "tpad", "transpose", "transpose_cuda", "transpose_opencl", "transpose_vaapi", "transpose_vulkan", "treble", "tremolo", "trim", "unpremultiply", "unsharp", "unsharp_opencl", "untile", "uspp", "v360", "v360_vulkan", "vaguedenoiser", "varblur", "vectorscope", "vflip", "vflip_vulkan", "vfrdet", "vibrance", "vibrato", "vidstabdetect", "vidstabtransform", "vif", "vignette", "virtualbass", "vmafmotion", "volume", "volumedetect", "vpp_amf", "vpp_qsv", "vsrc_amf", "vstack", "vstack_qsv", "vstack_vaapi", "w3fdif", "waveform", "weave", "xbr", "xcorrelate", "xfade", "xfade_opencl", "xfade_vulkan", "xmedian", "xpsnr", "xstack", "xstack_qsv", "xstack_vaapi", "yadif", "yadif_cuda", "yaepblur", "yuvtestsrc", "zmq", "zoneplate", "zoompan", "zscale"], "speech": true}',NULL,79777128448,1795835161837,1795835168891,NULL);
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
CREATE INDEX ix_workers_status ON workers (status);
CREATE INDEX ix_work_waiting ON work (due_at, place) WHERE worker_id IS NULL AND error IS NULL;
CREATE INDEX ix_work_worker_id ON work (worker_id);
CREATE INDEX ix_published_task_id ON published (task_id);
CREATE INDEX ix_runs_driver ON runs (driver) WHERE ended_at IS NULL;
CREATE INDEX ix_places_key_granted ON places ("key", granted);
CREATE INDEX ix_places_worker_id ON places (worker_id);
PRAGMA writable_schema=OFF;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('changes',5);
COMMIT;
