import Glibc
import Testing
import TCPFuzz

/// The seeds that lie beside the fuzzers, and inputs made from them.
enum Inputs {
    struct Seed: CustomTestStringConvertible, Sendable {
        let target: FuzzTarget
        let name: String
        let bytes: [UInt8]
        var testDescription: String { "\(target.rawValue)/\(name)" }
    }

    /// The package's folder, found from this file's place in it.
    private static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

    static let seeds: [Seed] = FuzzTarget.allCases.flatMap { target in
        let folder = "\(root)/Fuzzing/Seeds/\(target.rawValue)"
        return names(in: folder).sorted().map { Seed(target: target, name: $0, bytes: read("\(folder)/\($0)")) }
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }

    /// Input number `number` for a target: a seed with some octets changed, or octets out of nothing.
    static func mutation(_ number: Int, _ target: FuzzTarget) -> [UInt8] {
        var random = SplitMix(state: UInt64(number) &* 0x5851_F42D_4C95_7F2D)
        let own = seeds.filter { $0.target == target }
        if own.isEmpty || number % 3 == 0 {
            return (0..<Int.random(in: 0...target.maximumLength / 2, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
        }
        var bytes = own[Int.random(in: 0..<own.count, using: &random)].bytes
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            case 1 where place < bytes.count: bytes.remove(at: place)
            case 2 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 3 where !bytes.isEmpty:
                let end = min(bytes.count, place + Int.random(in: 1...16, using: &random))
                bytes.insert(contentsOf: bytes[min(place, end)..<end], at: place)
            default: bytes.append(UInt8.random(in: 0...255, using: &random))
            }
        }
        return Array(bytes.prefix(target.maximumLength))
    }
}

/// A small generator, so that every run has the same inputs.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &+ 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed &>> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed &>> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed &>> 31
    }
}
