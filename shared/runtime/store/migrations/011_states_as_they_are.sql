-- A state of over 2 kB was compressed at each of its writes, some five a dossier, and opened again at each reading: that
-- cost more than the kilobyte that it spared. Larger ones still are.
ALTER TABLE states SET (toast_tuple_target = 4080);
