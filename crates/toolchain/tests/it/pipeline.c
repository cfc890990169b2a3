#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
static double a[64][64], b[64][64], c[64][64];
struct item { int key; double weight; char name[16]; };
static int compare(const void *x, const void *y) {
  const struct item *p = x, *q = y;
  return p->key < q->key ? -1 : p->key > q->key;
}
static int state_machine(const char *s) {
  int state = 0, count = 0;
  for (; *s; s++) {
    switch (state) {
    case 0: state = *s == 'a' ? 1 : *s == 'b' ? 2 : 0; break;
    case 1: state = *s == 'c' ? 3 : 0; count++; break;
    case 2: state = *s == 'd' ? 1 : 2; break;
    default: state = 0; count += 2;
    }
  }
  return count;
}
static void multiply(int n) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      double s = 0;
      for (int k = 0; k < n; k++) s += a[i][k] * b[k][j];
      c[i][j] = s;
    }
}
static void sums(int n, int m, int *restrict x, const int *restrict y, int f) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < m; j++) x[i * m + j] += y[i * m + j];
  for (int j = 0; j < 64; j++)
    for (int i = 0; i < 64; i++) a[i][j] += 1.0;
  for (int i = 0; i < n; i++) { if (f) x[i] = y[i] * 3; else x[i] += f + i; if (i < n / 2) x[i]++; }
  for (int i = 0; i < n; i++) x[i] = 0;
  for (int i = 1; i < n; i++) { x[i] = x[i - 1] + 3; x[i + n] = y[i] * 2; }
}
static unsigned hash(const char *s) { unsigned h = 1; while (*s) h = h * 31 + (unsigned char)*s++; return h; }
static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static int dist(int n, int *p) { int best = 1 << 30; for (int i = 0; i < n; i++) { if (p[i] < 0) return -1; if (p[i] < best) best = p[i]; } return best; }
int main(int argc, char **argv) {
  int n = 0;
  char text[256];
  if (scanf("%d %255s", &n, text) != 2 || n > 64) { fprintf(stderr, "bad\n"); return 1; }
  int *x = calloc(2 * 4096 + 64, sizeof *x), *y = malloc(4096 * sizeof *y);
  for (int i = 0; i < 4096; i++) y[i] = i * n;
  for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) { a[i][j] = i + j; b[i][j] = sqrt(i * j); }
  multiply(n);
  sums(n, n, x, y, argc > 1);
  struct item *items = malloc(n * sizeof *items);
  for (int i = 0; i < n; i++) { items[i].key = hash(text) % (i + 7); items[i].weight = i / 3.0; memset(items[i].name, 0, 16); strncpy(items[i].name, text, 15); }
  qsort(items, n, sizeof *items, compare);
  double total = 0;
  for (int i = 0; i < n; i++) total += items[i].weight * c[i][i] + x[i];
  printf("%g %d %d %d %d\n", total, state_machine(text), fib(n % 20), dist(n, y), items[0].key);
  free(x); free(y); free(items);
  return 0;
}
