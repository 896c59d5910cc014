import Glibc
import Testing

/// What one line of `benchmarks --json` says.
struct Figure {
    var variant: String
    var metric: String
    var value: Double

    init?(_ line: Substring) {
        func field(_ name: String) -> Substring? {
            guard let start = line.range(of: "\"\(name)\":")?.upperBound else { return nil }
            let rest = line[start...]
            return rest.first == "\""
                ? rest.dropFirst().prefix { $0 != "\"" } : rest.prefix { $0 != "," && $0 != "}" }
        }
        guard let variant = field("variant"), let metric = field("metric"),
            let value = field("value").flatMap({ Double($0) })
        else { return nil }
        self.variant = String(variant)
        self.metric = String(metric)
        self.value = value
    }
}

/// Runs the `benchmarks` that were built beside this test.
func benchmark(_ name: String) throws -> [Figure] {
    var path = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &path, path.count - 1)
    try #require(length > 0)
    let own = String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let program = folder + "/benchmarks"
    try #require(access(program, X_OK) == 0, "\(program) is not there: build it with the tests")
    let pipe = try #require(popen("exec '\(program)' --quick --json \(name)", "r"))
    var output: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&block, 1, block.count, pipe)
        if count == 0 { break }
        output += block[..<count]
    }
    #expect(pclose(pipe) == 0, "benchmarks \(name) failed: \(String(decoding: output, as: UTF8.self))")
    return String(decoding: output, as: UTF8.self).split(separator: "\n").compactMap { Figure($0) }
}

extension Substring {
    /// The first place where `text` stands.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
