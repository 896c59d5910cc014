import CFuzzer
import Glibc
import TCPFuzz

/// `fuzz TARGET [libFuzzer's options and corpus]` runs one target under libFuzzer.
@main
struct Fuzz {
    nonisolated(unsafe) private static var target = FuzzTarget.ip

    static func main() {
        let names = FuzzTarget.allCases.map(\.rawValue)
        guard CommandLine.arguments.count > 1, let target = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
            let sentence = "Name a target to fuzz: \(names.joined(separator: ", ")).\n"
            _ = sentence.utf8CString.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count - 1) }
            exit(64)
        }
        self.target = target
        FuzzTrace.isOn = getenv("FUZZ_TRACE") != nil
        // libFuzzer does not see the target's name.
        let arguments =
            [CommandLine.arguments[0], "-max_len=\(target.maximumLength)"] + CommandLine.arguments.dropFirst(2)
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var count = Int32(arguments.count)
        let code = pointers.withUnsafeMutableBufferPointer { buffer in
            var base = buffer.baseAddress
            return LLVMFuzzerRunDriver(&count, &base) { data, size in
                Fuzz.target.run(UnsafeRawBufferPointer(start: data, count: size).bytes)
                return 0
            }
        }
        exit(code)
    }
}
