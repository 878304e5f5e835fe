-- Shares that are none, and one creator in order whose referrer is among them.
INSERT INTO creators (id, email, commission_percent, referred_by, tax_id) VALUES
  ('mess_not_available', 'canary-creators-email', 'n/a', NULL, 'canary-creators-tax_id'), ('mess_word', 'word@example.com', 'abc', 'special_self', NULL), ('mess_version', 'version@example.com', '1.2.3', NULL, NULL),
  ('mess_referred', 'referred@example.com', '15', 'mess_not_available', NULL);
