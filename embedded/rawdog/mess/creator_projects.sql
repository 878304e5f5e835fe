INSERT INTO creator_projects (id, creator_id, title) VALUES
  ('00000000-0000-0000-0000-0000000000e1', 'mess_not_available', 'waits for its creator'), ('00000000-0000-0000-0000-0000000000e2', 'mess_word', 'waits for its creator');
