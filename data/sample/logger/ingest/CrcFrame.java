package org.skerry.ingest;

import java.nio.ByteBuffer;
import java.util.Optional;

/** One 24-byte radio frame: 22 bytes of payload and a CRC-16 checksum (polynomial 0x1021) in the last two. */
public final class CrcFrame {
    public static final int LENGTH = 24;
    private static final int PAYLOAD = 22;

    private final long epochSecond;
    private final int station;
    private final int levelMillimetres;

    private CrcFrame(long epochSecond, int station, int levelMillimetres) {
        this.epochSecond = epochSecond;
        this.station = station;
        this.levelMillimetres = levelMillimetres;
    }

    /** Decodes a frame, or gives nothing when its checksum says that it was corrupted on the way. */
    public static Optional<CrcFrame> decode(byte[] bytes) {
        if (bytes.length != LENGTH) {
            return Optional.empty();
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        int expected = buffer.getShort(PAYLOAD) & 0xFFFF;
        if (checksum(bytes, PAYLOAD) != expected) {
            return Optional.empty();
        }
        return Optional.of(new CrcFrame(buffer.getLong(0), buffer.getInt(8), buffer.getInt(12)));
    }

    /** CRC-16/CCITT over the first {@code length} bytes. */
    static int checksum(byte[] bytes, int length) {
        int crc = 0xFFFF;
        for (int i = 0; i < length; i++) {
            crc ^= (bytes[i] & 0xFF) << 8;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
            }
            crc &= 0xFFFF;
        }
        return crc;
    }

    public long epochSecond() {
        return epochSecond;
    }

    public int station() {
        return station;
    }

    public int levelMillimetres() {
        return levelMillimetres;
    }
}
