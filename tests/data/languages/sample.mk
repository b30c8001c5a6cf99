# about
CC := gcc
FLAGS = -O2

.PHONY: all clean
# Builds.
all: main.o util.o
	$(CC) -o app $^

%.o: %.c
	$(CC) $(FLAGS) -c $<

clean:
	rm -f *.o
define twice
$(1) $(1)
endef
