/// A source file with all its mutants in it, each behind a question to the switch which one is on.
package struct MutantSource {
    /// A place where mutants change the text.
    private struct Site {
        var range: Range<Int>
        /// Number and mutant, in the order of the list.
        var mutants: [(number: Int, mutant: Mutant)]
    }

    private let text: [UInt8]
    private var sites: [Site] = []
    /// The line each mutant changes, by its number.
    package private(set) var lines: [Int: Int] = [:]

    /// Finds the place of each of `mutants`, which are of this file and carry their numbers.
    package init(_ text: [UInt8], _ mutants: [(number: Int, mutant: Mutant)]) throws(ProofError) {
        self.text = text
        for (number, mutant) in mutants {
            let range = try MutantSource.find(mutant, in: text)
            lines[number] = 1 + text[..<range.lowerBound].count { $0 == UInt8(ascii: "\n") }
            if let index = sites.firstIndex(where: { $0.range == range }) {
                sites[index].mutants.append((number, mutant))
                continue
            }
            for site in sites where site.range.overlaps(range) {
                let isNested =
                    site.range.lowerBound <= range.lowerBound && range.upperBound <= site.range.upperBound
                    || range.lowerBound <= site.range.lowerBound && site.range.upperBound <= range.upperBound
                guard isNested else {
                    throw ProofError(
                        "\(mutant.id) and \(site.mutants[0].mutant.id) overlap in part: let one change all that the other does."
                    )
                }
            }
            sites.append(Site(range: range, mutants: [(number, mutant)]))
        }
        // Outer sites before those inside them.
        sites.sort { ($0.range.lowerBound, -$0.range.upperBound) < ($1.range.lowerBound, -$1.range.upperBound) }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\t")
    }

    /// Where the changed part of a mutant lies. Its context must occur exactly once.
    package static func find(_ mutant: Mutant, in text: [UInt8]) throws(ProofError) -> Range<Int> {
        let pattern = Array(mutant.context.utf8)
        var found: Range<Int>?
        var count = 0
        for start in text.indices where text[start] == pattern[0] {
            guard let range = match(pattern, mutant.changed, in: text, at: start) else { continue }
            count += 1
            found = range
        }
        guard count == 1, let found else {
            throw ProofError(
                "\(mutant.id) is stale: its text occurs \(count) times in \(mutant.file), not once: \(mutant.context)")
        }
        return found
    }

    /// The range that corresponds to `changed` when `pattern` stands at `start`.
    private static func match(_ pattern: [UInt8], _ changed: Range<Int>, in text: [UInt8], at start: Int) -> Range<Int>?
    {
        var position = start
        var low = start
        var high = start
        var index = 0
        while index < pattern.count {
            if index == changed.lowerBound { low = position }
            if isSpace(pattern[index]) {
                guard position < text.count, isSpace(text[position]) else { return nil }
                while index < pattern.count, isSpace(pattern[index]) {
                    index += 1
                    if index == changed.lowerBound || index == changed.upperBound { break }
                }
                while position < text.count, isSpace(text[position]) { position += 1 }
            } else {
                guard position < text.count, text[position] == pattern[index] else { return nil }
                position += 1
                index += 1
            }
            if index == changed.lowerBound { low = position }
            if index == changed.upperBound { high = position }
        }
        return low..<high
    }

    /// The file with all mutants. `mutant(n)` is what it asks.
    package func rewritten() -> [UInt8] {
        var result = Array("public import MutantSwitch\n".utf8)
        result += render(0..<text.count, sites[...])
        return result
    }

    /// The text of `range` with the mutants of `sites`, all of which lie inside.
    private func render(_ range: Range<Int>, _ sites: ArraySlice<Site>) -> [UInt8] {
        var result: [UInt8] = []
        var position = range.lowerBound
        var index = sites.startIndex
        while index < sites.endIndex {
            let site = sites[index]
            result += text[position..<site.range.lowerBound]
            var end = index + 1
            while end < sites.endIndex, sites[end].range.lowerBound < site.range.upperBound { end += 1 }
            result += guarded(site, render(site.range, sites[index + 1..<end]))
            position = site.range.upperBound
            index = end
        }
        return result + text[position..<range.upperBound]
    }

    private func guarded(_ site: Site, _ original: [UInt8]) -> [UInt8] {
        var result = original
        for (number, mutant) in site.mutants {
            let new = Array(mutant.replacement.utf8)
            switch mutant.kind {
            case .expression:
                result = Array("(mutant(\(number)) ? (".utf8) + new + Array(") : (".utf8) + result + Array("))".utf8)
            case .statements:
                result =
                    Array("if mutant(\(number)) { ".utf8) + new + Array(" } else { ".utf8) + result + Array("\n}".utf8)
            }
        }
        return result
    }
}
