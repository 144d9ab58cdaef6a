-- name: status
SELECT pg_database_size(current_database()) AS size, (SELECT version FROM schema_version) AS schema_version,
    current_setting('server_version') AS postgresql_version, (SELECT count(*) FROM records) AS records,
    (SELECT count(*) FROM open_records) AS open_records, (SELECT count(*) FROM owners) AS gateways;

-- name: schema_version
SELECT version FROM schema_version;
