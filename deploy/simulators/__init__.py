"""Outside systems, each a process of its own that speaks the real protocol over the network.

They stand for the population register, the bank and a mail server. They import nothing of the platform and the
platform imports nothing of them: what joins them is HTTP, SOAP and SMTP.
"""
