/// What a Range field asks of a file (RFC 9110 §14).
enum HTTPRange: Equatable {
    /// No range, one that is not understood, or several: the whole file, as a server may choose to answer.
    case whole
    /// These octets.
    case part(Range<Int>)
    /// None of the file's octets.
    case unsatisfiable

    /// Reads the value of a Range field for a file of `size` octets.
    init(_ value: String?, size: Int) {
        self = .whole
        guard let value, value.lowercased().hasPrefix("bytes=") else { return }
        let specification = value.dropFirst(6).filter { $0 != " " && $0 != "\t" }
        guard !specification.contains(",") else { return }
        let ends = specification.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2 else { return }
        let first = HTTPRange.number(ends[0])
        let last = HTTPRange.number(ends[1])
        switch (ends[0].isEmpty, ends[1].isEmpty) {
        case (true, true):
            return
        case (true, false):
            guard let last else { return }
            self = last == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - last)..<size)
        case (false, true):
            guard let first else { return }
            self = first >= size ? .unsatisfiable : .part(first..<size)
        case (false, false):
            guard let first, let last, first <= last else { return }
            self = first >= size ? .unsatisfiable : .part(first..<min(size, last == .max ? size : last + 1))
        }
    }

    /// Digits as a number; one too large for any file counts as the largest there is.
    private static func number(_ digits: Substring) -> Int? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(digits) ?? .max
    }
}
