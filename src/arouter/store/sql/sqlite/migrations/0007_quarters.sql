-- Roll-ups by quarter of an hour instead of by hour, and by the model that was asked for. They are counted anew from
-- the records.

DROP TABLE rollups;

CREATE TABLE rollups (
    slot INTEGER NOT NULL,
    organization_no INTEGER NOT NULL,
    workspace_no INTEGER NOT NULL,
    key_no INTEGER NOT NULL,
    user_no INTEGER NOT NULL,
    model_no INTEGER NOT NULL,
    requested_model_no INTEGER NOT NULL,
    provider_no INTEGER NOT NULL,
    endpoint_no INTEGER NOT NULL,
    status_no INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cost_units INTEGER NOT NULL,
    cost_rest INTEGER NOT NULL,
    requests_without_usage INTEGER NOT NULL,
    requests_without_price INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    requests_with_latency INTEGER NOT NULL,
    PRIMARY KEY (
        organization_no, slot, key_no, user_no, model_no, requested_model_no, provider_no, endpoint_no, status_no,
        workspace_no
    )
) STRICT, WITHOUT ROWID;

WITH counted AS (
    SELECT *,
        coalesce(input_tokens, 0) + coalesce(input_audio_tokens, 0) + coalesce(input_image_tokens, 0)
            + coalesce(input_video_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
            + coalesce(cache_write_tokens, 0) + coalesce(cache_write_1h_tokens, 0) AS prompt,
        coalesce(output_tokens, 0) + coalesce(output_audio_tokens, 0) + coalesce(output_image_tokens, 0) AS completion,
        coalesce(
            input_tokens, input_audio_tokens, input_image_tokens, input_video_tokens, cache_read_tokens,
            cache_read_audio_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, output_audio_tokens,
            output_image_tokens
        ) AS known,
        iif(adjusted_seq IS NULL, cost, adjusted_cost) AS holding
    FROM records LEFT JOIN adjusted ON adjusted_seq = seq
)
INSERT INTO rollups
SELECT created_at_us / 900000000, organization_no, workspace_no, key_no, coalesce(user_no, 0), coalesce(model_no, 0),
    coalesce(requested_model_no, 0), coalesce(provider_no, 0), endpoint_no, status_no,
    count(*),
    sum(status_no IS NOT (SELECT no FROM names WHERE text = 'success')),
    sum(prompt),
    sum(completion),
    sum(coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0)),
    sum(coalesce(reasoning_tokens, 0)),
    sum(prompt + completion),
    coalesce(sum(holding / 1000000), 0),
    coalesce(sum(holding % 1000000), 0),
    sum(known IS NULL AND status_no IS NOT (SELECT no FROM names WHERE text = 'rejected')),
    sum(holding IS NULL AND prompt + completion > 0),
    sum(coalesce(latency_us, 0)),
    sum(latency_us IS NOT NULL)
FROM counted
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
