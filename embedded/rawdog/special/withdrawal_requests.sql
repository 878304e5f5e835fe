INSERT INTO withdrawal_requests (id, creator_id, amount_cents, amount, method, destination, status, otp_code, approver_email, ip, requested_at, processed_at) VALUES
  (1, 'special_a_canary', 2147483647, 'NaN', 'ach', '{"iban": "canary-withdrawal_requests-destination"}', 'Paid ', 'canary-withdrawal_requests-otp_code', 'canary-withdrawal_requests-approver_email', '192.0.2.1', 'infinity', 'infinity'),
  (2, 'special_forward', -2147483648, 99999999.9999, 'SEPA', 'null', 'paid', '', '', '::/0', '-infinity', '-infinity'),
  (3, NULL, NULL, -0.0001, '', '{"a": 1.10, "a": 2}', '', '000000', 'Ann@Example.com', '10.1.2.3/8', '0001-01-01', '0001-01-01 00:00:00+00'),
  (4, 'special_self', 0, 1.1000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
