# connectd: make, make run, make demo, make test, make install; for those who
# doubt: make asan, make sim, make sim-plants, make sim-pairs, make fuzz; and
# figures: make bench.
# Works in GNU make and bmake.  Yours: CC CFLAGS CPPFLAGS LDFLAGS LIBS PREFIX
# SBINDIR SYSCONFDIR MANDIR DESTDIR, from the environment or the command line.

CC ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
SYSCONFDIR ?= $(PREFIX)/etc
MANDIR ?= $(PREFIX)/share/man

CD_CFLAGS = -std=c99 -Wall -Wextra

OBJS = connectd.o tunnel.o relay.o reach.o dial.o resolver.o query.o \
    config.o sys.o http.o names.o policy.o dns.o addr.o ring.o

all: connectd

connectd: $(OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJS) $(LIBS)

$(OBJS): connectd.h

.SUFFIXES: .c .o
.c.o:
	$(CC) $(CD_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The built-in defaults, in the foreground.
run: connectd
	@echo 'connectd on 127.0.0.1:3128 and [::1]:3128, to public addresses,' \
	    'port 443; stop it with Control-C.  Try:'
	@echo '    curl -x http://127.0.0.1:3128 https://www.example.com/'
	@exec ./connectd -f /dev/null

demo: connectd
	@sh tests/demo.sh

test: connectd
	@CC="$(CC)" CFLAGS="$(CFLAGS)" LDFLAGS="$(LDFLAGS)" sh tests/run.sh

# The same tests with AddressSanitizer and UndefinedBehaviorSanitizer.
asan:
	@CC="$(CC)" LDFLAGS="$(LDFLAGS)" sh tests/run.sh asan

# The daemon in simulated worlds: see tests/README.
sim:
	@CC="$(CC)" CFLAGS="$(CFLAGS)" sh tests/sim/run.sh full

sim-plants:
	@CC="$(CC)" CFLAGS="$(CFLAGS)" sh tests/sim/run.sh plants

sim-pairs:
	@CC="$(CC)" CFLAGS="$(CFLAGS)" sh tests/sim/run.sh pairs

# What things cost: figures, no verdict.
bench: connectd
	@CONNECTD=./connectd CC="$(CC)" python3 tests/bench-dns.py

# make fuzz T=600: seconds for each target.  Needs clang with libFuzzer.
T = 60
fuzz:
	@sh tests/fuzz/run.sh $(T)

install: connectd
	mkdir -p $(DESTDIR)$(SBINDIR) $(DESTDIR)$(SYSCONFDIR) \
	    $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(MANDIR)/man5
	cp connectd $(DESTDIR)$(SBINDIR)/connectd
	chmod 755 $(DESTDIR)$(SBINDIR)/connectd
	cp connectd.8 $(DESTDIR)$(MANDIR)/man8/connectd.8
	cp connectd.conf.5 $(DESTDIR)$(MANDIR)/man5/connectd.conf.5
	cp connectd.conf $(DESTDIR)$(SYSCONFDIR)/connectd.conf.sample
	chmod 644 $(DESTDIR)$(MANDIR)/man8/connectd.8 \
	    $(DESTDIR)$(MANDIR)/man5/connectd.conf.5 \
	    $(DESTDIR)$(SYSCONFDIR)/connectd.conf.sample

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/connectd \
	    $(DESTDIR)$(MANDIR)/man8/connectd.8 \
	    $(DESTDIR)$(MANDIR)/man5/connectd.conf.5 \
	    $(DESTDIR)$(SYSCONFDIR)/connectd.conf.sample

clean:
	rm -f connectd $(OBJS)
	rm -rf tests/build

.PHONY: all run demo test asan sim sim-plants sim-pairs fuzz install uninstall \
    clean
