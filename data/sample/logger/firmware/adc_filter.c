/* Median filter for the pressure sensor. Runs in an interrupt: no allocation, no floating point. */

#include <stddef.h>
#include <stdint.h>

#define WINDOW 15

struct median_filter {
    int32_t samples[WINDOW];
    size_t next;
    size_t filled;
};

void median_init(struct median_filter *filter) {
    filter->next = 0;
    filter->filled = 0;
}

void median_push(struct median_filter *filter, int32_t sample) {
    filter->samples[filter->next] = sample;
    filter->next = (filter->next + 1) % WINDOW;
    if (filter->filled < WINDOW) {
        filter->filled++;
    }
}

/* Insertion sort on a copy: for fifteen values it beats everything clever. */
int32_t median_value(const struct median_filter *filter) {
    int32_t sorted[WINDOW];
    size_t count = filter->filled;
    for (size_t i = 0; i < count; i++) {
        int32_t value = filter->samples[i];
        size_t j = i;
        while (j > 0 && sorted[j - 1] > value) {
            sorted[j] = sorted[j - 1];
            j--;
        }
        sorted[j] = value;
    }
    return count == 0 ? 0 : sorted[count / 2];
}
