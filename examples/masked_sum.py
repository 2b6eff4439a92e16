"""A masked sum of your own vectors: the server learns the sum, and nothing about one of them.

python masked_sum.py
"""

from auror import masked_sum

# Visits per weekday, counted by five clinics that show their own numbers to nobody.
VISITS = {
    0: [31, 28, 40, 35, 22],
    1: [12, 17, 9, 14, 11],
    2: [55, 61, 48, 52, 57],
    3: [8, 5, 7, 10, 6],
    4: [23, 25, 19, 28, 30],
}


def main() -> None:
    print("everybody:       ", masked_sum(VISITS))
    # Clinic 1 loses its connection before it sends: the others' masks for it are taken back.
    print("without clinic 1:", masked_sum(VISITS, lost_before_upload=[1]))
    # Floats are summed exactly in steps of 2^-24, or of what you choose.
    print("in thousands:    ", masked_sum([[0.25], [1.5], [2.125]]))


if __name__ == "__main__":
    main()
