INSERT INTO esign_documents
SELECT pg_temp.digest(n, 'esign_documents.id')::uuid,
  CASE n % 20 WHEN 0 THEN pg_temp.creator_id(creator) || ' ' WHEN 1 THEN 'creator_gone_' || n ELSE pg_temp.creator_id(creator) END,
  CASE WHEN n % 3 > 0 THEN pg_temp.project_id(project) END,
  pg_temp.one_of(n, 'esign_documents.provider', ARRAY['docusign','hellosign','DocuSign ']),
  'env-' || pg_temp.digest(n, 'esign_documents.envelope'),
  pg_temp.one_of(n, 'esign_documents.status', ARRAY['completed','sent','declined','voided']),
  convert_to('%PDF-1.7' || chr(10), 'UTF8') || decode(repeat(pg_temp.digest(n, 'esign_documents.pdf'), 150 + (n % 100)::int), 'hex'),
  'https://esign.example.com/d/' || n || '?token=' || pg_temp.digest(n, 'esign_documents.pdf_url'),
  CASE WHEN n % 2 = 0 THEN encode(decode(repeat(pg_temp.digest(n, 'esign_documents.signed'), 150), 'hex'), 'base64') END,
  CASE WHEN n % 2 = 0 THEN 'data:image/png;base64,' || encode(decode(repeat(pg_temp.digest(n, 'esign_documents.signature'), 20), 'hex'), 'base64') END,
  pg_temp.person(n, 'esign_documents.signer') || ' ' || pg_temp.family(n, 'esign_documents.family'),
  'creator' || creator || '@Example.com',
  pg_temp.address(n, 'esign_documents.signer_ip'),
  'eyJ' || pg_temp.digest(n, 'esign_documents.access') || '.' || pg_temp.digest(n, 'access'),
  pg_temp.digest(n, 'esign_documents.sha') || pg_temp.digest(n, 'sha'),
  'viewed by creator' || creator || '@example.com' || chr(13) || chr(10) || 'signed from 10.0.0.' || n % 256,
  jsonb_build_object('full_name', pg_temp.person(n, 'esign_documents.signer'), 'initials', 'X. Y.', 'rate', 1.10),
  created + interval '30 days',
  CASE WHEN n % 4 > 0 THEN created + interval '2 days 00:00:00.000001' END,
  created
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'esign_documents.creator', {creators}) AS creator, 1 + pg_temp.pick(n, 'esign_documents.project', {creator_projects}) AS project,
    pg_temp.moment(n, 'esign_documents.created_at') AT TIME ZONE 'UTC' AS created
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
