-- A batch is of records or of adjustments. Numbers have no gaps: who sees one sees all before it.
-- name: batches_to_copy
SELECT no, written_at_us, encode(hash, 'hex') AS mark, records,
    CASE records WHEN 0 THEN (SELECT count(*) FROM adjustments WHERE batch = batches.id) ELSE 0 END AS adjustments
FROM batches WHERE no > $1 ORDER BY no LIMIT $2;

-- name: batch_to_copy_from
SELECT encode(hash, 'hex') AS mark, written_at_us FROM batches WHERE no = $1;

-- Of the batch behind the place $2 records are copied already.
-- name: size_to_copy
SELECT coalesce(sum(
    CASE records WHEN 0 THEN (SELECT count(*) FROM adjustments WHERE batch = batches.id) ELSE records END
), 0)::bigint - $2::bigint
FROM batches WHERE no > $1;

-- name: days_that_expired
SELECT organization_id, day FROM expired_days ORDER BY organization_id, day;

-- From behind the record $2 of the batch $1 up to the record $4 of the batch $3. None of them was created before what
-- the batches say, so that no earlier month is looked at.
-- name: records_to_copy
WITH stretch AS MATERIALIZED (
    SELECT id, no, written_at_us, earliest_us FROM batches WHERE no BETWEEN $1 AND $3 AND records > 0
)
SELECT {columns}
FROM stretch JOIN records ON records.batch = stretch.id
WHERE records.batch = ANY(ARRAY(SELECT id FROM stretch))
    AND records.created_at_us >= (SELECT min(earliest_us) FROM stretch)
    AND (stretch.no, records.place) > ($1, $2) AND (stretch.no, records.place) <= ($3, $4)
ORDER BY stretch.no, records.place;

-- What was said until the batch $2 of the records of which something was said behind the batch $1: also what was said
-- before that, since it tells the cost that held.
-- name: adjustments_to_copy
SELECT {columns}
FROM adjustments JOIN batches ON batches.id = adjustments.batch
WHERE batches.no <= $2 AND adjustments.record_id = ANY(ARRAY(
    SELECT said.record_id FROM batches AS saying JOIN adjustments AS said ON said.batch = saying.id
    WHERE saying.no > $1 AND saying.no <= $2 AND saying.records = 0
))
ORDER BY batches.no, adjustments.place;

-- name: records_of_adjustments
SELECT {columns}
FROM record_ids AS ids
JOIN records ON records.organization_id = ids.organization_id AND records.created_at_us = ids.created_at_us
    AND records.id = ids.id
JOIN batches ON batches.id = records.batch
WHERE ids.id = ANY($1::text[]);
