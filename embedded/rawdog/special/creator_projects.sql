-- A ring A → B → A, a forward pointer and one at itself: the key on itself is deferred.
INSERT INTO creator_projects (id, creator_id, parent_id, title, brief_html, deliverables, budget, fee_percent, due_on, effort, files, status, started_at, created_at) VALUES
  ('00000000-0000-0000-0000-00000000000a', 'special_ring_1', '00000000-0000-0000-0000-00000000000b', 'A', 'canary', '{"a": 1, "a": 2}', '$1,234.50', 'NaN', 'infinity', '1 mon', '["https://files.example.com/a?X-Signature=canary-creator_projects-files"]', 'DONE ', 'infinity', 'infinity'),
  ('00000000-0000-0000-0000-00000000000b', 'special_ring_2', '00000000-0000-0000-0000-00000000000a', 'a', '', '"\u0000"', '1.234,50', '-0', '-infinity', '30 days', '', 'done', '-infinity', '-infinity'),
  ('00000000-0000-0000-0000-000000000000', 'special_a_canary', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'special_a_canary', NULL, NULL, E'a\r\n', 'null', '', 'Infinity', '0001-01-01', '24:00:00', '[''repr'']', '', '0001-01-01', '0001-01-01 00:00:00+00'),
  ('00000000-0000-0000-0000-00000000000c', 'special_self', '00000000-0000-0000-0000-00000000000c', '', '😀', '  [] ', 'Free', '-Infinity', '0044-03-15 BC', '1 year 2 mons 3 days 04:05:06.78', '["cut', 'open', '0044-03-15 00:00:00 BC', '0044-03-15 00:00:00+00 BC'),
  ('00000000-0000-0000-0000-00000000000d', 'special_self', NULL, ' ', U&'\FEFF', '"\ud800"', ' ', '1e-45', '1970-01-01', '-1 mons +1 day -00:00:00.000001', NULL, 'open ', '2023-03-26 02:30:00', '2023-03-26 02:30:00+00'),
  ('00000000-0000-0000-0000-00000000000e', 'special_self', NULL, 'é', '\N', '1.10', '0', 0.1, '5874897-12-31', '178000000 years', NULL, 'open', '2023-10-29 02:30:00', '2023-10-29 02:30:00+02'),
  ('00000000-0000-0000-0000-00000000000f', 'special_self', NULL, U&'e\0301', '\.', '[]', '0', 12.5, NULL, '1 day -00:00:01', NULL, 'open', NULL, NULL);
