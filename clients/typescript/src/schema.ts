// Made by `make client` from the published JSON Schemas; do not edit.
interface components {
    schemas: {
        /** @description One submission to one plugin. What was accepted or is unknown is never sent again. */
        Attempt: {
            /** @description The plugin. */
            provider_plugin: string;
            /** @description The vendor family. */
            provider?: string;
            /** @description The vendor's own name of the requested model. */
            native_model?: string | null;
            /** @description The vendor's id of what it accepted; null while there is none. */
            nativeResponseId?: string | null;
            /**
             * @description planned: not sent yet; sent: no answer yet; accepted: the vendor works on it; refused: nothing was created; unknown: it was sent and no readable answer came back.
             * @enum {string}
             */
            outcome: "planned" | "sent" | "accepted" | "refused" | "unknown";
            /** @description Error class, when it was refused or is unknown. */
            reason?: string | null;
            /** @description Text for people, when it was refused or is unknown. */
            message?: string | null;
            /** @description The vendor's own error code. */
            native_code?: string | number | null;
            /**
             * Format: date-time
             * @description When it was stored, in UTC.
             */
            planned_at?: string | null;
            /**
             * Format: date-time
             * @description When it may be sent at the earliest, in UTC: the vendor was busy before. Left out otherwise.
             */
            not_before?: string;
            /**
             * Format: date-time
             * @description When it was sent, in UTC.
             */
            sent_at?: string | null;
            /**
             * Format: date-time
             * @description When its outcome became known, in UTC.
             */
            answered_at?: string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description A submission to a plugin has a new outcome. */
        AttemptEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "attempt";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description The submission. */
            data: {
                /** @description The plugin. */
                plugin: string;
                /**
                 * @description As outcome of an attempt of the job.
                 * @enum {string}
                 */
                outcome: "planned" | "sent" | "accepted" | "refused" | "unknown";
                /** @description The vendor's id of the job; null while there is none. */
                native_id: string | null;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description One plugin that would be called, and its request to the vendor. */
        Candidate: {
            /** @description The vendor family, such as suno. */
            provider: string;
            /** @description The plugin, such as suno_kie. */
            provider_plugin: string;
            /** @description The vendor's own name of the model. */
            native_model: string;
            /** @description The HTTP request that would be sent. */
            upstream_request: components["schemas"]["HttpRequest"];
            /** @description What this candidate could not honour. */
            warnings: components["schemas"]["Warning"][];
            /** @description What it would cost; left out or null when no price is known. */
            price?: components["schemas"]["Price"] | null;
            /** @description The circuit breaker of a plugin that is called after the others because its vendor has not been answering; left out otherwise. */
            health?: components["schemas"]["Health"];
        } & {
            [key: string]: unknown;
        };
        /** @description The job was stored. */
        CreatedEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "created";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description What was asked for. */
            data: {
                /** @description The model id of the request. */
                model: string;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description The elevenlabs block of a music request, with the vendor's own option names. Other keys, such as seed, finetune_id or respect_sections_durations, are kept and forwarded. Either a prompt or a composition plan is needed, not both; the plugin checks that. */
        ElevenLabsOptions: {
            /** @description Overrides the prompt of the request, unless it is blank. Excludes composition_plan. */
            prompt?: string;
            /** @description The song laid out in sections (music_v1) or chunks (later models). A plan that the vendor returned is accepted back unchanged. */
            composition_plan?: Record<string, unknown>;
            /** @description Wanted length in milliseconds; wins over the request's duration. Only with a prompt. */
            music_length_ms?: number;
            /** @description The vendor's own model name, such as music_v2; overrides the one behind the request's model. */
            model_id?: string;
            /** @description Codec, sample rate and bit rate as one name, such as mp3_44100_128; wins over the request's format. */
            output_format?: string;
            /** @description true: no voice. Only with a prompt. */
            force_instrumental?: boolean;
            /** @description true: the vendor keeps the song for later edits. */
            store_for_inpainting?: boolean;
            /** @description true: the answer has the time of each sung word. */
            with_timestamps?: boolean;
            /** @description true: the vendor signs the file with C2PA. mp3 only. */
            sign_with_c2pa?: boolean;
        } & {
            [key: string]: unknown;
        };
        /** @description The body of every answer that is not a success, on every route. Readers ignore keys that they do not know. */
        ErrorAnswer: {
            /**
             * @description What went wrong. HTTP status: 400 invalid_json, validation_error, model_required, not_supported, unsupported_model_or_endpoint, unsupported_modalities; 401 unauthorised; 402 pricing_not_configured, insufficient_funds; 403 guardrail_blocked; 404 not_found; 409 not_ready; 413 payload_too_large; 429 key_limit_exceeded; 500 gateway_error, pipeline_execution_error; 502, or the status of the reason, upstream_error, normalization_failed.
             * @enum {string}
             */
            error: "unauthorised" | "invalid_json" | "validation_error" | "model_required" | "not_supported" | "not_found" | "not_ready" | "guardrail_blocked" | "unsupported_model_or_endpoint" | "unsupported_modalities" | "pricing_not_configured" | "insufficient_funds" | "key_limit_exceeded" | "gateway_error" | "pipeline_execution_error" | "upstream_error" | "normalization_failed" | "payload_too_large";
            /** @description A finer code: a token such as prompt_required_when_custom_mode_disabled or, for upstream_error, the class of the error, such as rate_limited. Present whenever there is one. */
            reason?: string;
            /** @description Text for people; never empty. */
            description: string;
            /** @description Id of this HTTP request: G- and 26 characters. */
            generation_id: string;
            /** @description The same as generation_id, under another name. */
            request_id: string;
            /** @description The HTTP status of this answer. */
            status_code: number;
            /**
             * @description user: the caller can fix it; system: the caller cannot.
             * @enum {string}
             */
            error_type: "user" | "system";
            /** @description Every violation of the request schema, in its order. */
            details?: components["schemas"]["Violation"][];
            /** @description The provider of the error. */
            provider?: string;
            /** @description The plugin of the error. */
            provider_plugin?: string;
            /** @description The vendor's own error code. */
            native_code?: string | number | null;
            /** @description The vendor's own message, scrubbed. */
            native_message?: string | null;
            /** @description What the vendor proposes instead. */
            suggestion?: string | Record<string, unknown> | null;
            /** @description What could not be honoured, when the caller requested strict handling. */
            warnings?: components["schemas"]["Warning"][];
            /** @description How many providers were tried, when none accepted the job. */
            attempt_count?: number;
            /** @description The providers that were tried. */
            failed_providers?: string[];
            /** @description The HTTP status of each attempt, in the same order; null where there was no answer. */
            failed_statuses?: (number | null)[];
            /** @description Errors of some of them, at most 3. */
            failed_samples?: (string | Record<string, unknown>)[];
            /** @description The requested job id. */
            music_id?: string;
            /**
             * Format: date-time
             * @description When the limit of the key starts anew, in UTC.
             */
            reset_at?: string;
            /** @description The funds that the request needs, as a number or as decimal text. */
            min_usd?: number | string;
            /** @description The body that was really sent to the vendor, without secrets; only when requested. */
            upstream_request?: Record<string, unknown>;
            /** @description The vendor's answer, parsed: any JSON value; only when requested. */
            upstream_response?: unknown;
        } & {
            [key: string]: unknown;
        };
        /** @description One plugin that would not be called. */
        Exclusion: {
            /** @description The vendor family. */
            provider?: string;
            /** @description The plugin. */
            provider_plugin: string;
            /** @description Why, as a token. */
            reason: string;
            /** @description Why, as text for people. */
            message: string;
        } & {
            [key: string]: unknown;
        };
        /** @description Why something failed, with the vendor's own message where the vendor reported it. */
        Failure: {
            /** @description Error class, such as moderation, upstream_failed, timeout, cancelled or expired. */
            reason: string;
            /** @description Text for people; never empty. */
            message: string;
            /** @description The vendor's own error code. */
            native_code?: string | number | null;
            /** @description The vendor's own message, scrubbed. */
            native_message?: string | null;
            /** @description What the vendor proposes instead, such as a prompt that it would accept: text, or an object in the vendor's own form. */
            suggestion?: string | Record<string, unknown> | null;
            /** @description true: the vendor may have charged for it. */
            may_have_cost?: boolean;
            /** @description The plugin of the failure. */
            provider_plugin?: string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description A track whose audio can be had: as a link or as bytes. A stream alone is not audio. */
        HasAudio: Record<string, unknown>;
        /** @description The circuit breaker of a plugin, and its create calls of the last minute. */
        Health: {
            /**
             * @description closed: called in its order; open: called after the others; half_open: one request in twenty calls it in its order.
             * @enum {string}
             */
            state: "closed" | "open" | "half_open";
            /** @description Share of the calls to which the vendor did not answer. */
            error_rate: number;
            /** @description Number of calls. */
            calls: number;
            /**
             * Format: date-time
             * @description End of the time for which it is open, in UTC; null when it is closed.
             */
            opens_until: string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description A request to a vendor, without secrets. */
        HttpRequest: {
            /** @description The HTTP method. */
            method: string;
            /**
             * Format: uri
             * @description The address, with its query.
             */
            url: string;
            /** @description The headers; the one that carries the key is left out or masked. */
            headers?: {
                [key: string]: string;
            };
            /** @description The parsed JSON body; text when it is not JSON; null when there is no body. */
            body: Record<string, unknown> | unknown[] | string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description The data of one server-sent event. Kinds and keys may be added in later releases. */
        JobEvent: components["schemas"]["CreatedEvent"] | components["schemas"]["AttemptEvent"] | components["schemas"]["StateEvent"] | components["schemas"]["TrackEvent"] | components["schemas"]["ProgressEvent"] | components["schemas"]["OutputEvent"] | components["schemas"]["StorageEvent"] | components["schemas"]["SettledEvent"];
        /** @description One page of an account's jobs, newest first. */
        JobList: {
            /**
             * @description Always list.
             * @constant
             */
            object: "list";
            /** @description The jobs. */
            data: components["schemas"]["MusicJob"][];
            /** @description Continues after this page; null on the last one. */
            next_cursor: string | null;
        } & {
            [key: string]: unknown;
        };
        /**
         * Format: uri
         * @description A URL; null where there is none, never an empty text.
         */
        Link: string | null;
        /** @description A kept file, measured by decoding it. */
        MeasuredAudio: {
            /** @description Container: mp3, wav, ogg, opus (in Ogg), flac, m4a or aac (ADTS). */
            format?: string;
            /** @description Media type, such as audio/mpeg. */
            content_type?: string;
            /** @description Size of the file. */
            size_bytes?: number;
            /** @description Length in seconds. */
            duration?: number;
            /** @description Codec, as FFmpeg names it, such as pcm_s16le. */
            codec?: string;
            /** @description Samples per second and channel. */
            sample_rate?: number;
            /** @description Number of channels. */
            channels?: number;
            /** @description Bits per second. */
            bit_rate?: number;
            /** @description Integrated loudness (EBU R 128), in LUFS. */
            loudness_lufs?: number;
            /** @description True peak (ITU-R BS.1770), in dBTP. */
            true_peak_dbtp?: number;
            /** @description Whether nothing can be heard. */
            silent?: boolean;
            /** @description SHA-256 of the file, in hexadecimal. */
            sha256?: string;
            /** @description What the file's C2PA manifest says; only its validity was checked. Left out for a file without one. */
            c2pa?: {
                /** @description Whether signature and content agree: trusted, valid, invalid or not_checked. */
                validity: string;
                /** @description Why it is not trusted, not valid or not checked. */
                reason?: string;
                /** @description Name on the signer's certificate. */
                signer?: string;
                /** @description Organisation on the signer's certificate. */
                issuer?: string;
                /** @description The program that made it. */
                claim_generator?: string;
                /** @description Whether it states that AI generated the song. */
                ai_generated?: boolean;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description The minimax block of a music request, with the vendor's own option names. Unknown keys are an error. Which fields go together depends on the model; the plugin checks that. */
        MiniMaxOptions: {
            /** @description The vendor's own model name, such as music-2.6; overrides the one behind the request's model. */
            model?: string;
            /** @description Overrides the prompt of the request, unless it is blank. At most 2000 characters. */
            prompt?: string;
            /** @description The lyrics, one line per line, with tags such as [Verse] and [Chorus]. At most 3500 characters; blank counts as left out. */
            lyrics?: string;
            /** @description true: the vendor writes the lyrics from the prompt. */
            lyrics_optimizer?: boolean;
            /** @description true: no voice. Left out, without lyrics and without instrumental: the song is an instrumental. */
            is_instrumental?: boolean;
            /** @description false, or left out. true passes this schema and is refused later: the gateway does not stream this vendor. */
            stream?: boolean;
            /**
             * @description How the vendor hands over the audio: as a link or inside the answer. The caller gets a link either way.
             * @enum {string}
             */
            output_format?: "url" | "hex";
            /**
             * Format: uri
             * @description Cover models: link to the reference audio. Exactly one of audio_url, audio_base64 and cover_feature_id.
             */
            audio_url?: string;
            /** @description Cover models: the reference audio itself, as base64 text. */
            audio_base64?: string;
            /** @description Cover models: id of a reference that the vendor has prepared. */
            cover_feature_id?: string;
            /** @description Encoding of the audio. Unknown keys are an error. */
            audio_setting?: {
                /**
                 * @description Samples per second.
                 * @enum {integer}
                 */
                sample_rate?: 16000 | 24000 | 32000 | 44100;
                /**
                 * @description Bits per second.
                 * @enum {integer}
                 */
                bitrate?: 32000 | 64000 | 128000 | 256000;
                /**
                 * @description Audio format; wins over the request's format.
                 * @enum {string}
                 */
                format?: "mp3" | "wav" | "pcm";
                /**
                 * @description 1: mono, 2: stereo.
                 * @enum {integer}
                 */
                channel?: 1 | 2;
            };
            /** @description true: the vendor marks the audio as made by a machine (mainland service). */
            aigc_watermark?: boolean;
            /** @description Cover models: number that makes the result repeatable, from 0 to 1000000. */
            seed?: number;
        };
        /** @description One public model, with the plugins that offer it. */
        Model: {
            /** @description Public id, for model of a request. */
            id: string;
            /**
             * @description Always model.
             * @constant
             */
            object: "model";
            /** @description Other ids of the same model. */
            aliases: string[];
            /** @description One for each plugin. */
            offers: components["schemas"]["Offer"][];
        } & {
            [key: string]: unknown;
        };
        /** @description The answer of POST /v1/music/generate and of GET /v1/music/generate/{id}: one job in its current state. Keys may be added in later releases; readers ignore those that they do not know. */
        MusicJob: {
            /** @description The gateway's own id of this job: opaque, safe inside a URL. */
            id: string;
            /**
             * @description Always music.
             * @constant
             */
            object: "music";
            /**
             * @description State of the job. It only moves forward; completed and failed are final.
             * @enum {string}
             */
            status: "queued" | "in_progress" | "completed" | "failed";
            /** @description The vendor family that makes the music, such as suno. */
            provider: string;
            /** @description The plugin that does the work, such as suno_kie. */
            provider_plugin?: string;
            /** @description The vendor's own name of the model, such as V4_5PLUS. */
            model: string;
            /** @description The model id that the request named, such as suno/v4.5plus. */
            public_model?: string;
            /** @description The vendor's id of this job; null while there is none. It works in GET as well. */
            nativeResponseId: string | null;
            /** @description The vendor's own last status; null while there is none. */
            native_status?: string | null;
            /** @description How far the vendor is and what it charges, as it says itself; absent where it says nothing. Each key is there only if the vendor gave it. */
            progress?: {
                /** @description From 0 to 1. */
                fraction?: number;
                /** @description Seconds until the vendor expects to be done. */
                remaining_seconds?: number;
                /** @description What the vendor charged for the task, in its own unit. */
                charge?: number;
                /** @description That unit, such as credits or USD. */
                charge_unit?: string;
            } & {
                [key: string]: unknown;
            };
            /**
             * Format: date-time
             * @description When the request was accepted, in UTC.
             */
            created_at?: string;
            /**
             * Format: date-time
             * @description When the job last changed, in UTC.
             */
            updated_at?: string;
            /**
             * Format: date-time
             * @description When the job became final, in UTC; null before.
             */
            completed_at?: string | null;
            /**
             * Format: date-time
             * @description When links that point to the vendor stop working, in UTC; null when unknown or when the links are the gateway's own.
             */
            expires_at?: string | null;
            /** @description The tracks known so far. It may be there before the job is completed. */
            output?: components["schemas"]["Track"][];
            /** @description What was made, measured from the delivered audio. */
            usage?: components["schemas"]["Usage"];
            /** @description Why the job failed. Present exactly when it failed. */
            error?: components["schemas"]["Failure"];
            /** @description What was requested and could not be honoured. */
            warnings?: components["schemas"]["Warning"][];
            /** @description Every submission to a plugin, oldest first. */
            attempts?: components["schemas"]["Attempt"][];
            /** @description The labels that the request carried. */
            metadata?: {
                [key: string]: string;
            };
            /** @description Id of the HTTP request that this is the answer to. */
            requestId?: string;
            /** @description Facts about the gateway's own work. */
            meta?: {
                /** @description Milliseconds from the submission to the final state, or until now. */
                generation_ms?: number | null;
                /** @description Milliseconds until the vendor first answered. */
                latency_ms?: number | null;
                /** @description Which providers could have been chosen, which one was, and why not the others; only when requested. */
                routing?: Record<string, unknown>;
            } & {
                [key: string]: unknown;
            };
            /** @description The body that was really sent to the vendor, without secrets; only when requested. */
            upstream_request?: Record<string, unknown>;
            /** @description The vendor's last answer, parsed: any JSON value; only when requested. */
            upstream_response?: unknown;
        } & {
            [key: string]: unknown;
        };
        /** @description The body of POST /v1/music/generate. Unknown top-level keys are no error: they are ignored, and the answer's warnings name them. Nothing is coerced, null is never accepted for an optional field, and a field that is left out has no value: the defaults named in the descriptions are applied later. Violations are reported in the order of the properties in this file. */
        MusicRequest: {
            /** @description Public id of the model to make music with, such as suno/v4.5plus. A blank one passes here and is refused by a check of its own (model_required). */
            model: string;
            /** @description What the music should be. Whether it is needed, and how long it may be, is a rule of the provider. */
            prompt?: string;
            /** @description Wanted length in whole seconds. A provider without a field for it reports it as not applied. */
            duration?: number;
            /**
             * @description Wanted audio format of the result. Audio that a provider delivers in another one is converted, and the original is kept. aac is AAC in an MP4 file (m4a).
             * @enum {string}
             */
            format?: "mp3" | "wav" | "ogg" | "aac" | "flac";
            /** @description Routing preferences: which providers may make this music. null is the same as left out. Other keys are kept and have no effect on music. */
            provider?: {
                /** @description Names of providers or plugins to try first, in this order; the rest follows. */
                order?: string[] | null;
                /** @description Names of the only providers or plugins that may be called. suno means every plugin of Suno, suno_kie only that one. */
                only?: string[] | null;
                /** @description Names of providers or plugins that must not be called. */
                ignore?: string[] | null;
                /** @description Also consider providers in their alpha stage; false when left out. */
                include_alpha?: boolean | null;
                /** @description Another spelling of include_alpha. */
                includeAlpha?: boolean | null;
                /** @description false: one attempt, without a fallback to another provider when it is refused; true when left out. */
                allow_fallbacks?: boolean | null;
            } & {
                [key: string]: unknown;
            };
            /** @description Suno's own options; they override the neutral fields of the request. */
            suno?: components["schemas"]["SunoOptions"];
            /** @description Eleven Music's own options; they override the neutral fields of the request. */
            elevenlabs?: components["schemas"]["ElevenLabsOptions"];
            /** @description MiniMax's own options; they override the neutral fields of the request. */
            minimax?: components["schemas"]["MiniMaxOptions"];
            /** @description true: the answer shows the body that was really sent to the vendor, as upstream_request, without secrets. debug.return_upstream_request wins over it. */
            echo_upstream_request?: boolean;
            /** @description Switches for looking inside; never forwarded to a vendor. Other keys are dropped. */
            debug?: {
                /** @description true: the answer explains the routing under meta.routing. */
                enabled?: boolean;
                /** @description true: the answer shows the body that was really sent to the vendor, as upstream_request. */
                return_upstream_request?: boolean;
                /** @description Another spelling of return_upstream_request. */
                returnUpstreamRequest?: boolean;
                /** @description true: the answer shows the vendor's last answer, as upstream_response. */
                return_upstream_response?: boolean;
                /** @description Another spelling of return_upstream_response. */
                returnUpstreamResponse?: boolean;
                /** @description true: the gateway logs one line for each call to a vendor that this request leads to; the answer does not change. */
                trace?: boolean;
                /**
                 * @description How much a trace logs: full adds the bodies of each call and its answer, without secrets.
                 * @enum {string}
                 */
                trace_level?: "summary" | "full";
                /**
                 * @description Another spelling of trace_level.
                 * @enum {string}
                 */
                traceLevel?: "summary" | "full";
            } & {
                [key: string]: unknown;
            };
            /** @description true: the answer carries routing facts under meta. */
            meta?: boolean;
            /** @description Lyrics, for any provider that takes lyrics. */
            lyrics?: string;
            /** @description Genre, mood, instruments, for any provider. */
            style?: string;
            /** @description Title of the song, for any provider that names its songs. */
            title?: string;
            /** @description Styles and traits to avoid, for any provider. */
            negative_style?: string;
            /** @description true: no voice; false: a voice is wanted. Left out: the provider's choice. */
            instrumental?: boolean;
            /**
             * @description Wanted voice: m or f.
             * @enum {string}
             */
            vocal_gender?: "m" | "f";
            /** @description Number that makes a provider's result repeatable, as far as it promises that. The largest one allowed is a rule of the provider. */
            seed?: number;
            /**
             * Format: uri
             * @description Absolute http or https URL of the webhook for the end of this job, instead of the one in the account's settings.
             */
            webhook_url?: string;
            /** @description The caller's own labels; they come back with the job and never reach a vendor. At most 16, keys of at most 64 and values of at most 512 characters (code points). */
            metadata?: {
                [key: string]: string;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description What one plugin offers of a model. */
        Offer: {
            /** @description The vendor family, such as suno. */
            provider: string;
            /** @description The plugin, such as suno_kie. */
            provider_plugin: string;
            /** @description The vendor's own name of the model; null where it has none. */
            native_model: string | null;
            /** @description Whether it has an API key. */
            configured: boolean;
            /** @description How mature the plugin is: active, beta, alpha or not_ready. */
            stage: string;
            /** @description Neutral fields that it can express. */
            abilities: string[];
            /** @description Audio formats that the vendor delivers; others are converted. */
            formats: string[];
            /** @description Number of tracks that it makes for each job. */
            tracks: number;
            /** @description Lengths, in characters or seconds; null where none is known. */
            limits: {
                [key: string]: number | null;
            };
            /** @description Price rules; null when no price is known. */
            pricing: components["schemas"]["PriceRule"][] | null;
            /** @description What the vendor states about commercial_use, watermark and retention. */
            rights: {
                [key: string]: components["schemas"]["Right"];
            };
            /** @description Declared fields of the native request: name, type, the neutral fields that they carry, bounds. */
            options?: {
                [key: string]: unknown;
            }[];
        } & {
            [key: string]: unknown;
        };
        /** @description The vendor has finished; the audio is being fetched. */
        OutputEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "output";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description What was made. */
            data: {
                /** @description Number of tracks. */
                tracks: number;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description The answer of POST /v1/music/plan: what the gateway would do with a request. Nothing is sent and nothing is spent. */
        Plan: {
            /**
             * @description Always plan.
             * @constant
             */
            object: "plan";
            /** @description The model id that the request named. */
            model: string;
            /** @description The plugins that would be called, in this order: each one only if the one before creates nothing. */
            candidates: components["schemas"]["Candidate"][];
            /** @description The plugins that would not be called, and why. */
            excluded: components["schemas"]["Exclusion"][];
            /** @description Id of the HTTP request that this is the answer to. */
            requestId?: string;
        } & {
            [key: string]: unknown;
        };
        /** @description The prices that apply. A total is null while it depends on a quantity that is known only from the finished audio. */
        Price: {
            /**
             * @description The currency.
             * @constant
             */
            currency: "USD";
            /** @description Sum in billionths of the currency unit, or null. */
            total_nanos: number | null;
            /** @description The same sum as decimal text, or null. */
            total_usd_str: string | null;
            /** @description The same sum in whole cents, cut off, or null. */
            total_cents?: number | null;
            /** @description One line for each meter that costs something. */
            lines: ({
                /** @description What is counted: requests, output_audio_seconds, output_audio_count. */
                meter: string;
                /** @description How much of it is expected; null when that is not known. */
                quantity?: number | null;
                /** @description How much of it makes one unit. */
                unit_size: number;
                /** @description Price of one unit, as a number or as decimal text. */
                price_per_unit: number | string;
                /** @description Price of this line in billionths of the currency unit, or null. */
                line_nanos?: number | null;
            } & {
                [key: string]: unknown;
            })[];
        } & {
            [key: string]: unknown;
        };
        /** @description The price of one meter. */
        PriceRule: {
            /** @description What is counted: requests, output_audio_seconds, output_audio_count. */
            meter: string;
            /** @description How much of it makes one unit. */
            unit_size: number;
            /** @description Price of one unit, as decimal text. */
            price_per_unit: string;
            /**
             * @description The currency.
             * @constant
             */
            currency: "USD";
        } & {
            [key: string]: unknown;
        };
        /** @description A price and how it comes about. Left out when no price is known. */
        PricingBreakdown: {
            /** @description Sum in billionths of the currency unit. */
            total_nanos: number;
            /** @description The same sum as decimal text, without loss. */
            total_usd_str: string;
            /** @description The same sum in whole cents, cut off. */
            total_cents: number;
            /**
             * @description The currency.
             * @constant
             */
            currency: "USD";
            /** @description One line for each meter that costs something. */
            lines: ({
                /** @description What is counted: requests, output_audio_seconds, output_audio_count. */
                meter: string;
                /** @description How much of it was made. */
                quantity: number;
                /** @description How much of it makes one unit. */
                unit_size: number;
                /** @description Price of one unit, as a number or as decimal text. */
                price_per_unit: number | string;
                /** @description Price of this line in billionths of the currency unit. */
                line_nanos?: number;
            } & {
                [key: string]: unknown;
            })[];
        } & {
            [key: string]: unknown;
        };
        /** @description The vendor is another tenth further, or has named its charge. */
        ProgressEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "progress";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description What the vendor said; each key is there only if the vendor gave it. */
            data: {
                /** @description From 0 to 1. */
                fraction?: number;
                /** @description Seconds until the vendor expects to be done. */
                remaining_s?: number;
                /** @description What the vendor charged for the task, in its own unit. */
                charge?: number;
                /** @description That unit, such as credits or USD. */
                charge_unit?: string;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description One plugin with its health. */
        Provider: {
            /** @description The vendor family, such as suno. */
            provider: string;
            /** @description The plugin, such as suno_kie. */
            provider_plugin: string;
            /** @description Name for people. */
            label: string;
            /** @description How mature the plugin is: active, beta, alpha or not_ready. */
            stage: string;
            /** @description Whether it has an API key. */
            configured: boolean;
            /** @description Environment variable of the key. */
            key_setting?: string | null;
            /** @description Whether its create call lasts as long as the song. */
            blocking?: boolean;
            /** @description Whether the vendor calls back. */
            callbacks?: boolean;
            /** @description The key of a request that holds the vendor's own options. */
            option_block?: string | null;
            /** @description Lower numbers are asked first. */
            priority?: number;
            /** @description How long a song usually takes. */
            typical_seconds?: number | null;
            /** @description After this time a job fails as expired. */
            deadline_seconds?: number | null;
            /** @description How long the vendor keeps its files. */
            retention_seconds?: number | null;
            /** @description Create calls at a time. */
            max_parallel_creates?: number | null;
            /** @description Create calls in a time. */
            create_window?: ({
                /** @description Number of calls. */
                calls: number;
                /** @description The time. */
                seconds: number;
            } & {
                [key: string]: unknown;
            }) | null;
            /** @description Public ids of its models. */
            models: string[];
            /** @description The vendor's documentation. */
            docs_url?: string | null;
            /** @description Create calls in its queue. */
            waiting: number;
            /** @description Its circuit breaker. */
            health: components["schemas"]["Health"];
        } & {
            [key: string]: unknown;
        };
        /** @description What a vendor states, with its page and date. */
        Right: {
            /** @description The statement; unknown if there is none. */
            statement: string;
            /** @description The vendor's page. */
            source: string | null;
            /** @description When the page was read. */
            as_of: string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description The job is final. No event comes after this one. */
        SettledEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "settled";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description How it ended. */
            data: {
                /**
                 * @description The final state.
                 * @enum {string}
                 */
                state: "completed" | "failed";
                /** @description Error class of a failed job. */
                reason: string | null;
            } & {
                [key: string]: unknown;
            };
            /** @description The whole job, as it was when it ended. */
            job?: components["schemas"]["MusicJob"];
        } & {
            [key: string]: unknown;
        };
        /** @description The job has a new state. */
        StateEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "state";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description Both states. */
            data: {
                /**
                 * @description The earlier state.
                 * @enum {string}
                 */
                from: "queued" | "in_progress" | "completed" | "failed";
                /**
                 * @description The new state.
                 * @enum {string}
                 */
                to: "queued" | "in_progress" | "completed" | "failed";
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description The audio cannot be stored for the time being; it is tried again until the job's deadline. */
        StorageEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "storage";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description The trouble. */
            data: {
                /** @description Why, as text for people. */
                reason: string;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description The suno block of a music request, with Suno's own option names. Other keys are kept and forwarded. There are no length limits here: they depend on the model and on the route, and the plugin that is chosen checks them. */
        SunoOptions: {
            /** @description true: style and title are given, and the prompt is sung as it is; false (when left out): the prompt is an idea, and Suno writes the lyrics. */
            customMode?: boolean;
            /** @description true: no voice; false when left out. */
            instrumental?: boolean;
            /** @description Overrides the prompt of the request, unless it is blank. */
            prompt?: string;
            /** @description Genre and mood; needed in custom mode. */
            style?: string;
            /** @description Title of the song; needed in custom mode. */
            title?: string;
            /** @description Id of a persona or voice to use. */
            personaId?: string;
            /** @description Kind of personaId, such as style_persona or voice_persona. */
            personaModel?: string;
            /** @description Suno's own model name, such as V4_5PLUS; overrides the one behind the request's model. */
            model?: string;
            /** @description Styles and traits to avoid; overrides the request's negative_style. */
            negativeTags?: string;
            /**
             * @description Wanted voice: m or f. It raises the odds and promises nothing.
             * @enum {string}
             */
            vocalGender?: "m" | "f";
            /** @description How closely to follow the style, from 0 to 1, both allowed; 0 is sent. */
            styleWeight?: number;
            /** @description How far to stray, from 0 to 1, both allowed; 0 is sent. */
            weirdnessConstraint?: number;
            /** @description How much audio features count, from 0 to 1, both allowed; 0 is sent. */
            audioWeight?: number;
            /**
             * Format: uri
             * @description Absolute URL that Suno calls when the song is ready.
             */
            callBackUrl?: string;
        } & {
            [key: string]: unknown;
        };
        /** @description One piece of audio. Suno makes two for each job. */
        Track: {
            /** @description Position among the tracks of the job, from 0. */
            index: number;
            /** @description The vendor's id of the track. */
            id: string | null;
            /** @description Link to the finished audio. */
            audio_url: components["schemas"]["Link"];
            /** @description Link to audio that may still grow. */
            stream_audio_url: components["schemas"]["Link"];
            /** @description Link to a cover picture. */
            image_url: components["schemas"]["Link"];
            /** @description Title of the song. */
            title: string | null;
            /** @description Genre and mood, as the vendor names them. */
            tags: string | null;
            /** @description Length in seconds; null while unknown. */
            duration: number | null;
            /** @description Media type of the audio, such as audio/mpeg. */
            content_type?: string | null;
            /** @description Size of the audio. */
            size_bytes?: number | null;
            /** @description What was measured by decoding the audio that is kept here. */
            audio?: components["schemas"]["MeasuredAudio"];
            /** @description The audio as the vendor delivered it, where it was converted to the wanted format. */
            original?: components["schemas"]["MeasuredAudio"];
            /** @description Link to a picture of the audio that is kept here: SVG, or PNG with .png for .svg; width, height and theme (light, dark) may be added. */
            waveform_url?: components["schemas"]["Link"];
            /** @description Link to the peaks of the audio that is kept here, as JSON of audiowaveform; points may be added. */
            peaks_url?: components["schemas"]["Link"];
            /** @description The audio itself, where there is no link to it. */
            audio_base64?: string;
            /** @description The lyrics as they are sung. */
            lyrics?: string | null;
            /** @description The vendor's own name of the model that made this track. */
            native_model?: string | null;
            /** @description When each word is sung. */
            words?: ({
                /** @description The word. */
                word: string;
                /** @description Start, in milliseconds from the beginning of the track. */
                start_ms?: number;
                /** @description End, in milliseconds from the beginning of the track. */
                end_ms?: number;
            } & {
                [key: string]: unknown;
            })[] | null;
            /** @description The plan that the vendor followed; it can be sent back in a request. */
            composition_plan?: Record<string, unknown> | null;
            /**
             * Format: date-time
             * @description When the vendor made it, in UTC.
             */
            created_at?: string | null;
            /**
             * Format: date-time
             * @description When the links of this track stop working, in UTC; null when unknown or never.
             */
            expires_at?: string | null;
            /** @description Why this track is missing although others of the job are good. */
            error?: components["schemas"]["TrackFailure"] | null;
        } & {
            [key: string]: unknown;
        };
        /** @description A track is new, or its stream or audio link is there for the first time. */
        TrackEvent: {
            /**
             * @description The kind. (enum property replaced by openapi-typescript)
             * @enum {string}
             */
            type: "track";
            /** @description Number of the event, for Last-Event-ID. */
            number: number;
            /**
             * Format: date-time
             * @description When it happened, in UTC.
             */
            at: string;
            /** @description The track. */
            data: {
                /** @description Position among the tracks of the job, from 0. */
                index: number;
                /** @description Title of the song. */
                title: string | null;
                /** @description Link to audio that may still grow. */
                stream_audio_url: string | null;
                /** @description The vendor's link to the audio. */
                audio_url: string | null;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        /** @description Why one track is missing; the class only where the vendor's message implies it. */
        TrackFailure: {
            /** @description Error class, such as moderation. */
            reason?: string | null;
            /** @description Text for people; never empty. */
            message: string;
        } & {
            [key: string]: unknown;
        };
        /** @description Quantities of one job. On a fresh job only requests. */
        Usage: {
            /** @description Number of generations: 1. */
            requests?: number;
            /** @description Number of tracks with audio. */
            output_audio_count?: number;
            /** @description Sum of the lengths of the tracks; left out when nothing was measured. */
            output_audio_seconds?: number;
            /** @description What the quantities cost. */
            pricing_breakdown?: components["schemas"]["PricingBreakdown"];
        } & {
            [key: string]: unknown;
        };
        /** @description One place in the request that does not fit its schema. path and code are the contract. */
        Violation: {
            /** @description Text for people. */
            message: string;
            /** @description Where: keys and positions from the top; a missing key is named as well. */
            path: (string | number)[];
            /** @description The JSON Schema keyword that was violated, such as type, enum or required. */
            keyword: string;
            /** @description A coarse code: invalid_type, too_small, too_big, invalid_enum_value, invalid_string, unrecognized_keys. More may come. */
            code: string;
            /** @description What the keyword demands. */
            params: Record<string, unknown>;
        } & {
            [key: string]: unknown;
        };
        /** @description One option that was requested and could not be honoured. With 'Prefer: handling=strict' it is an error instead. */
        Warning: {
            /** @description Kind of warning: unknown_key (not a known key), not_applied (the provider cannot express it), changed (sent in another form), not_priced (the price of the job is not known). More may come. */
            code: string;
            /** @description Where in the request: keys and positions from the top. */
            path: (string | number)[];
            /** @description Text for people. */
            message: string;
            /** @description The plugin that cannot honour it; left out or null when it is the gateway. */
            provider_plugin?: string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description The body of a webhook about the end of a job (Standard Webhooks 1.0.0). */
        WebhookMessage: {
            /**
             * @description What happened.
             * @enum {string}
             */
            type: "music.completed" | "music.failed";
            /**
             * Format: date-time
             * @description When, in UTC.
             */
            timestamp: string;
            /** @description The job, as GET returns it. */
            data: components["schemas"]["MusicJob"];
        } & {
            [key: string]: unknown;
        };
        /** @description The body of a test message. */
        WebhookTestMessage: {
            /**
             * @description Always webhook.test.
             * @constant
             */
            type: "webhook.test";
            /**
             * Format: date-time
             * @description When, in UTC.
             */
            timestamp: string;
            /** @description Nothing of interest. */
            data: {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Attempt = components['schemas']['Attempt'];
export type AttemptEvent = components['schemas']['AttemptEvent'];
export type Candidate = components['schemas']['Candidate'];
export type CreatedEvent = components['schemas']['CreatedEvent'];
export type ElevenLabsOptions = components['schemas']['ElevenLabsOptions'];
export type ErrorAnswer = components['schemas']['ErrorAnswer'];
export type Exclusion = components['schemas']['Exclusion'];
export type Failure = components['schemas']['Failure'];
export type HasAudio = components['schemas']['HasAudio'];
export type Health = components['schemas']['Health'];
export type HttpRequest = components['schemas']['HttpRequest'];
export type JobEvent = components['schemas']['JobEvent'];
export type JobList = components['schemas']['JobList'];
export type Link = components['schemas']['Link'];
export type MeasuredAudio = components['schemas']['MeasuredAudio'];
export type MiniMaxOptions = components['schemas']['MiniMaxOptions'];
export type Model = components['schemas']['Model'];
export type MusicJob = components['schemas']['MusicJob'];
export type MusicRequest = components['schemas']['MusicRequest'];
export type Offer = components['schemas']['Offer'];
export type OutputEvent = components['schemas']['OutputEvent'];
export type Plan = components['schemas']['Plan'];
export type Price = components['schemas']['Price'];
export type PriceRule = components['schemas']['PriceRule'];
export type PricingBreakdown = components['schemas']['PricingBreakdown'];
export type ProgressEvent = components['schemas']['ProgressEvent'];
export type Provider = components['schemas']['Provider'];
export type Right = components['schemas']['Right'];
export type SettledEvent = components['schemas']['SettledEvent'];
export type StateEvent = components['schemas']['StateEvent'];
export type StorageEvent = components['schemas']['StorageEvent'];
export type SunoOptions = components['schemas']['SunoOptions'];
export type Track = components['schemas']['Track'];
export type TrackEvent = components['schemas']['TrackEvent'];
export type TrackFailure = components['schemas']['TrackFailure'];
export type Usage = components['schemas']['Usage'];
export type Violation = components['schemas']['Violation'];
export type Warning = components['schemas']['Warning'];
export type WebhookMessage = components['schemas']['WebhookMessage'];
export type WebhookTestMessage = components['schemas']['WebhookTestMessage'];
