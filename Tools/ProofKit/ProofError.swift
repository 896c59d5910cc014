/// What is wrong, in one sentence that says where.
package struct ProofError: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
