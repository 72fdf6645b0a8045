"""Linear: every output number is a weighted sum of a token's input numbers, plus a bias.

Forward
-------
    y = x W + b             x (N, I), W (I, O), b (O,), y (N, O)

N counts the rows: whatever axes x has before its last one (batch, time) are made one.

Yours: backward
---------------
Behind this layer come others, and at last all comes together in one number, the loss L. Those
others have done their part already, and hand you

    dy[n,o] = dL/dy[n,o]    how fast L changes with each number of y: an array of y's shape

From dy, and what forward saved, find the same for all that went in here:

    dW = dL/dW and db = dL/db, to be ADDED to self.W.grad and self.b.grad (+=, not =, for a model
    may use a layer twice), and dx = dL/dx, to be returned

each in the shape of what it is the derivative by. Names like dW always mean this.

Questions
---------
1. Write one number, y[n,o], as a sum over i: with indices, without matrices.
2. In which numbers of y does the one weight W[i,o] occur, and what is its factor there? L feels
   W[i,o] through all of them, so dW[i,o] is a sum over them, of dy times that factor.
3. The same for b[o]. The same for x[n,i].
4. Two of these three sums are products of matrices. Which, and where does a transpose belong? The
   shapes decide: what has to stand in (?, ?) (?, ?) -> (I, O)?
5. Which arrays of the forward do the sums need? Are they saved, or at hand?

`numpygpt practice linear` says whether it is right; with --hint, it helps.
"""

from numpygpt.layers import Layer, Parameter
from numpygpt.layers.parameter import Array


class Linear(Layer):
    """y = x W + b."""

    def __init__(self, n_in: int, n_out: int) -> None:
        self.W = Parameter(n_in, n_out, std=0.02)  # its numbers are self.W.data, dW is self.W.grad
        self.b = Parameter(n_out)

    def forward(self, x: Array) -> Array:
        """(..., I) -> (..., O)."""
        I, O = self.W.shape
        rows = x.reshape(-1, I)  # (N, I)
        y = rows @ self.W.data + self.b.data  # (N, O)
        self.save(rows)  # for backward: any arrays, in any number
        return y.reshape(*x.shape[:-1], O)

    def backward(self, dy: Array) -> Array:
        """(..., O) -> (..., I); adds to the gradients of W and b."""
        (x,) = self.take_saved()  # (N, I): what forward saved, in that order
        I, O = self.W.shape
        dy_rows = dy.reshape(-1, O)  # (N, O)
        # Yours: add to self.W.grad (I, O) and self.b.grad (O,), and make dx (N, I).
        # <answer>
        self.W.grad += x.T @ dy_rows
        self.b.grad += dy_rows.sum(axis=0)
        dx = dy_rows @ self.W.data.T
        # </answer>
        return dx.reshape(*dy.shape[:-1], I)


# <hints>
HINTS = (
    """
Shapes. x (N, I), W (I, O), b (O,), y and dy (N, O). So dW must come out as (I, O), db as (O,), dx
as (N, I). From x (N, I) and dy (N, O), only one order of a product gives (I, O): N is summed over.
""",
    """
One index. y[n,o] = sum_i x[n,i] W[i,o] + b[o].
    W[i,o] occurs in y[n,o] of every row n, with the factor x[n,i]:
        dW[i,o] = sum_n x[n,i] dy[n,o]
    b[o] occurs in y[n,o] of every row n, with the factor 1. What is db[o]?
    x[n,i] occurs in y[n,o] of every output o, with the factor W[i,o]. What is dx[n,i]?
""",
    """
Matrix form. A product of matrices sums over the last index of the first one and the first index of
the second one. In dW[i,o] = sum_n x[n,i] dy[n,o] the sum is over n, so x has to be transposed:
    dW = x^T dy             (I, N) (N, O) -> (I, O)
    db = the sum of dy over its rows                (O,)
    dx = dy W^T             (N, O) (O, I) -> (N, I)
`x.T` is the transpose of a matrix, `dy.sum(axis=0)` sums over the rows.
""",
)
# </hints>
