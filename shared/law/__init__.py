"""What the law says, computed: pure functions over dated rules.

* ``calendar``     when an agency is open (C1, C2)
* ``clock``        acceptance limit, due date, early or late (C2-C5, C9)
* ``codes``        dossier codes and identity numbers
* ``catalogue``    procedures, fee rules, agencies and groups, each with its legal basis and its dates
* ``fees``         what a filing costs, line by line (F1-F3a)
* ``application``  the form of an application, and ``faults``: everything that is wrong with one
* ``quote``        fee and limits of one application, before anything has happened
* ``loader``       reads the catalogue's files; the only file here that does, besides ``__main__``
"""
