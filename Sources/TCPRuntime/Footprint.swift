internal import CLinux
internal import Glibc

/// What a process that will run for long can do about its own size.
package enum Footprint {
    /// Lets go of the pages of code that only the start needed: parsing options, making metadata, linking. They are clean
    /// pages of the executable and its libraries; what is still wanted comes back from the page cache when it is next run.
    package static func dropStartupCode() {
        for line in readMaps().split(separator: UInt8(ascii: "\n")) {
            // "start-end r-xp offset device inode path". Writable mappings, and those that were before they were linked, stay.
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count >= 6, fields[1].elementsEqual("r-xp".utf8), fields[5].first == UInt8(ascii: "/") else {
                continue
            }
            let ends = fields[0].split(separator: UInt8(ascii: "-"))
            guard ends.count == 2, let start = UInt(String(decoding: ends[0], as: UTF8.self), radix: 16),
                let end = UInt(String(decoding: ends[1], as: UTF8.self), radix: 16), end > start,
                let address = UnsafeMutableRawPointer(bitPattern: start)
            else { continue }
            madvise(address, Int(end - start), 4)  // MADV_DONTNEED
        }
    }

    private static func readMaps() -> [UInt8] {
        let file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(file, $0.baseAddress!, $0.count) }
            guard count > 0 else { return text }
            text += chunk[..<count]
        }
    }
}
